{%- from 'rsyncd/map.jinja' import rsyncd with context %}

include:
  - rsyncd.config

# It reads its configuration anew for each connection, so a transfer goes on; only what it listens at is taken at the start.
rsyncd-service-running:
  service.running:
    - name: {{ rsyncd.service }}
    - enable: true
    - require:
      - file: rsyncd-config-main
    - watch:
      - file: rsyncd-config-listen
