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
  - {{ postgresql.running_sls }}

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
      - sls: {{ postgresql.running_sls }}
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
{%- if postgresql.failover %}
{%- set functions = ['pg_ls_dir(text, boolean, boolean)', 'pg_stat_file(text, boolean)', 'pg_read_binary_file(text)'] %}
{%- do functions.append('pg_read_binary_file(text, bigint, bigint, boolean)') %}
{%- set user = postgresql.replication.user %}
{%- set may = "has_function_privilege('" ~ user ~ "', 'pg_catalog.' || name, 'execute')" %}
{%- set missing = "select count(*) from unnest(array['" ~ functions | join("', '") ~ "']) as name where not " ~ may %}

# What pg_rewind calls on the new primary, when a former one comes back.
postgresql-databases-rewind:
  cmd.run:
    - name: {{ (postgresql.psql ~ ' -c "grant execute on function pg_catalog.' ~ functions | join(', pg_catalog.') ~ ' to ' ~ user ~ '"') | tojson }}
    - runas: {{ postgresql.user }}
    - onlyif: {{ (postgresql.psql ~ " -c 'select pg_is_in_recovery()' | grep -qx f") | tojson }}
    - unless: {{ (postgresql.psql ~ ' -c "' ~ missing ~ '" | grep -qx 0') | tojson }}
    - require:
      - postgres_user: postgresql-databases-user-{{ user }}
{%- else %}
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
      - sls: {{ postgresql.running_sls }}
{%- endfor %}
{%- endif %}
