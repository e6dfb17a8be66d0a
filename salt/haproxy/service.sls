{%- from 'haproxy/map.jinja' import haproxy with context %}

include:
  - haproxy.config

haproxy-service-running:
  service.running:
    - name: {{ haproxy.service }}
    - enable: true
    - reload: true
    - watch:
      - file: haproxy-config-main
