# The master is where the primary is: each server asks its own database. Between zones no address can move, so there is none.
keepalived:
  name: db
  members:
{%- for address in environment.servers.db.private_ips %}
    {{ environment.name }}-db-{{ loop.index }}: {{ address }}
{%- endfor %}
  follow: postgresql
