# PostgreSQL on the servers of the group db. The first begins as the primary and the others follow; after that they know.
{%- import_yaml 'passwords.sls' as passwords with context %}
{%- import_yaml 'tuning.sls' as tuning with context %}
postgresql:
  members:
{%- for address in environment.servers.db.private_ips %}
    {{ environment.name }}-db-{{ loop.index }}: {{ address }}
{%- endfor %}
  networks: {{ environment.subnets.private.cidrs | json }}
  replication: {password: {{ passwords.replication | json }}}
  users:
    app: {password: {{ passwords.app | json }}}
  databases:
    app: {owner: app}
  settings: {{ tuning.postgresql | json }}
