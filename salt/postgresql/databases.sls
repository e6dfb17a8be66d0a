{%- from 'postgresql/map.jinja' import postgresql with context %}
{%- set primary = 'su ' ~ postgresql.user ~ ' -c "' ~ postgresql.psql ~ " -c 'select pg_is_in_recovery()'\" | grep -qx f" %}
{%- set users = {} %}
{%- for name, user in postgresql.users.items() %}
{%- do users.update({name: user}) %}
{%- endfor %}
{%- if postgresql.others %}
{%- do users.update({postgresql.replication.user: dict(postgresql.replication, replication=true)}) %}
{%- endif %}

include:
  - postgresql.service

# What is in the databases is the primary's business; who that is, is asked when it matters.
{%- for name, user in users | dictsort %}

postgresql-databases-user-{{ name }}:
  postgres_user.present:
    - name: {{ name }}
    - login: true
    - encrypted: scram-sha-256
    - password: {{ user.password | tojson }}
    - replication: {{ user.get('replication', false) }}
    - user: {{ postgresql.user }}
    - db_host: {{ postgresql.socket_dir }}
    - db_port: {{ postgresql.port }}
    - onlyif: {{ primary | tojson }}
    - require:
      - sls: postgresql.service
{%- endfor %}
{%- for name, database in postgresql.databases | dictsort %}

postgresql-databases-{{ name }}:
  postgres_database.present:
    - name: {{ name }}
    - owner: {{ database.owner }}
    - encoding: UTF8
    - template: template0
    - user: {{ postgresql.user }}
    - db_host: {{ postgresql.socket_dir }}
    - db_port: {{ postgresql.port }}
    - onlyif: {{ primary | tojson }}
    - require:
      - postgres_user: postgresql-databases-user-{{ database.owner }}
{%- endfor %}
{%- for id in postgresql.others %}
{%- set slot = id | replace('-', '_') | replace('.', '_') | lower %}
{%- set make = postgresql.psql ~ ' -c "select pg_create_physical_replication_slot(\'' ~ slot ~ '\')"' %}
{%- set there = postgresql.psql ~ ' -c "select count(*) from pg_replication_slots where slot_name = \'' ~ slot ~ '\'" | grep -qx 1' %}

# So that what a standby has not got yet is kept for it, whoever is the primary by now. A standby that begins makes its own.
postgresql-databases-slot-{{ id }}:
  cmd.run:
    - name: {{ (make ~ ' || ' ~ there) | tojson }}
    - runas: {{ postgresql.user }}
    - onlyif: {{ (postgresql.psql ~ " -c 'select pg_is_in_recovery()' | grep -qx f") | tojson }}
    - unless: {{ there | tojson }}
    - require:
      - sls: postgresql.service
{%- endfor %}
