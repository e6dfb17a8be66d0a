{%- from 'nginx/map.jinja' import nginx with context %}

nginx-install-package:
  pkg.installed:
    - install_recommends: false
    - name: {{ nginx.package }}
