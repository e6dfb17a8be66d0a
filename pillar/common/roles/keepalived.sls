# The master is who can write: each server asks its own database. Between zones no address can move, so there is none.
keepalived:
  name: db
  members:
{%- for address in environment.servers.db.private_ips %}
    {{ environment.name }}-db-{{ loop.index }}: {{ address }}
{%- endfor %}
  check: su postgres -c "psql -XAtqc 'select pg_is_in_recovery()'" | grep -qx f
