# Two must never write one storage: the first server runs it, the others have its programs, for restores.
zeo:
  server: {{ environment.name }}-db-1
  address: {{ environment.servers.db.private_ips | first }}
