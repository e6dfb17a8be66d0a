{%- from 'keepalived/map.jinja' import keepalived with context %}

keepalived-install-package:
  pkg.installed:
    - name: {{ keepalived.package }}
