# Copies between the database servers of an environment.
{%- import_yaml 'passwords.sls' as passwords with context %}
rsyncd:
  users:
    transfer: {password: {{ passwords.transfer | json }}}
  modules:
    transfer:
      path: /var/lib/saltlick/transfer
      users: [transfer]
      read_only: false
      allow: {{ environment.servers.db.private_ips | json }}
