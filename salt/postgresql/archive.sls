{%- from 'postgresql/map.jinja' import postgresql with context %}
{%- set slot = "from pg_replication_slots where slot_name = 'saltlick_backup'" %}

include:
  - {{ postgresql.running_sls }}
{%- if postgresql.archive %}

postgresql-archive-dir:
  file.directory:
    - name: {{ postgresql.archive_dir }}
    - user: {{ postgresql.user }}
    - group: {{ postgresql.user }}
    - mode: '0700'
    - makedirs: true
    - require:
      - sls: {{ postgresql.running_sls }}

postgresql-archive-script:
  file.managed:
    - name: /usr/local/sbin/{{ postgresql.receiver }}-begin
    - source: salt://postgresql/files/receivewal-begin.sh.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - user: root
    - group: 0
    - mode: '0755'
{%- for unit in ('receivewal.service', 'receivewal-prune.service', 'receivewal-prune.timer') %}

postgresql-archive-{{ unit }}:
  file.managed:
    - name: {{ postgresql.unit_dir }}/{{ unit | replace('receivewal', postgresql.receiver) }}
    - source: salt://postgresql/files/{{ unit }}.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - file: postgresql-archive-dir
{%- endfor %}

# Salt looks for systemd's warning of a changed unit on stdout; systemd writes it to stderr, and the old command would restart.
postgresql-archive-units-read:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: postgresql-archive-receivewal.service
      - file: postgresql-archive-receivewal-prune.service
      - file: postgresql-archive-receivewal-prune.timer

postgresql-archive-running:
  service.running:
    - name: {{ postgresql.receiver }}
    - enable: true
    - require:
      - cmd: postgresql-archive-units-read
    - watch:
      - file: postgresql-archive-script
      - file: postgresql-archive-receivewal.service

postgresql-archive-pruned:
  service.running:
    - name: {{ postgresql.receiver }}-prune.timer
    - enable: true
    - watch:
      - file: postgresql-archive-receivewal-prune.timer
    - require:
      - cmd: postgresql-archive-units-read
{%- elif postgresql.unit_dir %}
{%- for unit in (postgresql.receiver, postgresql.receiver ~ '-prune.timer') %}

postgresql-archive-{{ unit }}-dead:
  service.dead:
    - name: {{ unit }}
    - enable: false
    - require:
      - sls: {{ postgresql.running_sls }}
    - require_in:
      - cmd: postgresql-archive-slot-dropped
{%- endfor %}

# Nobody reads it any more: it would keep the write-ahead log up to its limit.
postgresql-archive-slot-dropped:
  cmd.run:
    - name: {{ (postgresql.psql ~ ' -c "select pg_drop_replication_slot(slot_name) ' ~ slot ~ '"') | tojson }}
    - runas: {{ postgresql.user }}
    - unless: {{ (postgresql.psql ~ ' -c "select count(*) ' ~ slot ~ '" | grep -qx 0') | tojson }}
{%- endif %}
