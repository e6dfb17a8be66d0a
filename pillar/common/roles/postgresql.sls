# PostgreSQL on the servers of the group db. Which of them is the primary, they decide themselves.
{%- import_yaml 'passwords.sls' as passwords with context %}
{%- import_yaml 'tuning.sls' as tuning with context %}
postgresql:
  members:
{%- for address in environment.servers.db.private_ips %}
    {{ environment.name }}-db-{{ loop.index }}: {{ address }}
{%- endfor %}
  networks: {{ environment.subnets.private.cidrs | json }}
  replication: {password: {{ passwords.replication | json }}}
  # A dead primary is replaced within half a minute (docs/database.md).
  failover: {cluster: {{ environment.name }}, password: {{ passwords.failover | json }}}
  users:
    app: {password: {{ passwords.app | json }}}
  databases:
    app: {owner: app}
  settings: {{ tuning.postgresql | json }}
