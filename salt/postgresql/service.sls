{%- from 'postgresql/map.jinja' import postgresql with context %}
{%- set pending = 'select count(*) from pg_settings where pending_restart' %}

include:
  - postgresql.config

postgresql-service-running:
  service.running:
    - name: {{ postgresql.service }}
    - enable: true
    - reload: true
    - watch:
      - file: postgresql-config-settings
      - file: postgresql-config-included
      - file: postgresql-config-clients

# A standby answers once it has replayed enough.
postgresql-service-answers:
  cmd.run:
    - name: {{ postgresql.bin_dir }}/pg_isready -q -h {{ postgresql.socket_dir }} -p {{ postgresql.port }} -t 60
    - onchanges:
      - service: postgresql-service-running
    - require:
      - service: postgresql-service-running
{%- if postgresql.restart %}

# Some settings are taken at a restart only; the database itself knows which, a moment after it was reloaded.
postgresql-service-outdated:
  cmd.run:
    - name: echo 'settings wait for a restart'
    - unless: sleep 1; su {{ postgresql.user }} -c "{{ postgresql.psql }} -c '{{ pending }}'" | grep -qx 0
    - require:
      - cmd: postgresql-service-answers

postgresql-service-restarted:
  service.running:
    - name: {{ postgresql.service }}
    - watch:
      - cmd: postgresql-service-outdated

postgresql-service-answers-again:
  cmd.run:
    - name: {{ postgresql.bin_dir }}/pg_isready -q -h {{ postgresql.socket_dir }} -p {{ postgresql.port }} -t 60
    - onchanges:
      - cmd: postgresql-service-outdated
    - require:
      - service: postgresql-service-restarted
{%- endif %}
