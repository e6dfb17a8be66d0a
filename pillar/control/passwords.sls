# Passwords of control, and the only place that has them. THESE ARE EXAMPLES, for the sandbox: whoever can read the
# repository knows them. docs/guide.md says how to keep them in sdb or encrypted with GPG instead.
backups:                                   # by environment, as its own passwords.sls says
  prod: example-backups-prod
  test: example-backups-test
