{%- from 'base/map.jinja' import base with context %}

base-install-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ base.packages | tojson }}
    - reload_modules: true
