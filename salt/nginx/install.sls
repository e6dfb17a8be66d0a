{%- from 'nginx/map.jinja' import nginx with context %}

nginx-install-package:
  pkg.installed:
    - name: {{ nginx.package }}
