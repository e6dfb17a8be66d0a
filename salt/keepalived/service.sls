{%- from 'keepalived/map.jinja' import keepalived with context %}

include:
  - keepalived.config

keepalived-service-running:
  service.running:
    - name: {{ keepalived.service }}
    - enable: true
    - reload: true
    - require:
      - sls: keepalived.config
    - watch:
      - file: keepalived-config-main
