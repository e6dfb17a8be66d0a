{%- from 'base/map.jinja' import base with context %}

base-install-packages:
  pkg.installed:
    - pkgs: {{ base.packages | tojson }}
    - reload_modules: true
