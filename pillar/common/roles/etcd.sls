# Who is the primary of the databases: kept by the database servers and, as the third voice, by the master
# (pillar/control/roles/etcd.sls names the same members and ports).
etcd:
  clusters:
    {{ environment.name }}:
      members:
{%- for address in environment.servers.db.private_ips %}
        {{ environment.name }}-db-{{ loop.index }}: {{ address }}
{%- endfor %}
        salt-master: 172.20.0.10
{%- if environment.name == 'test' %}
      client_port: 2381                    # the master keeps prod's at 2379
      peer_port: 2382
{%- endif %}
