{%- from 'keepalived/map.jinja' import keepalived with context %}

keepalived-install-package:
  pkg.installed:
    - install_recommends: false
    - name: {{ keepalived.package }}
