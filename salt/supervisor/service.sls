{%- from 'supervisor/map.jinja' import supervisor with context %}

include:
  - supervisor.config

# Not restarted by a changed file: that would stop every program at once. Programs are updated one group at a time.
supervisor-service-running:
  service.running:
    - name: {{ supervisor.service }}
    - enable: true
    - require:
      - file: supervisor-config-main
