# Passwords of test, and the only place that has them. THESE ARE EXAMPLES, for the sandbox: whoever can read the
# repository knows them. docs/guide.md says how to keep them in sdb or encrypted with GPG instead.
app: example-app-test                     # the application's own, in PostgreSQL
replication: example-replication-test     # by which a standby follows its primary
failover: example-failover-test           # whoever changes who is the primary says it to Patroni
transfer: example-transfer-test           # rsync between the database servers
backups: example-backups-test             # rsync to the store on the master; pillar/control/passwords.sls has it too
signing: example-signing-test             # of this environment's backups: what is not signed with it is not restored
signing_of_prod: example-signing-prod     # drills and refreshes restore prod's backups here
