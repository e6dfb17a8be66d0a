# One top file for all environments: each sees its own folder and this one (pillar_roots), as `saltenv`.
# Matched by minion id alone, the one thing about a minion that the master itself has verified.
{{ saltenv }}:
  # What the environment consists of, how it is released, backed up and refreshed, when it is off and who is told: for the
  # master only, as runner and orchestration (which have its id, with _master behind it where the configuration gives none) and
  # as a minion of its own.
  # No server can pass for it: names of servers hold no underscore.
  '*_master': [environment, release, offhours, backup, refresh, notify]
  salt-master: [environment, release, offhours, backup, refresh, notify, schedule, server]
  # What a server gets, if this environment has a server of that name.
  '{{ saltenv }}-*': [server]
