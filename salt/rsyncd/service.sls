{%- from 'rsyncd/map.jinja' import rsyncd with context %}

include:
  - rsyncd.config

# It reads its configuration anew for each connection; only what it listens at is taken at the start.
rsyncd-service-running:
  service.running:
    - name: {{ rsyncd.service }}
    - enable: true
    - require:
      - file: rsyncd-config-main
