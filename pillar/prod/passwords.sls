# Passwords of prod, and the only place that has them. THESE ARE EXAMPLES, for the sandbox: whoever can read the
# repository knows them. docs/guide.md says how to keep them in sdb or encrypted with GPG instead.
app: example-app-prod                     # the application's own, in PostgreSQL
replication: example-replication-prod     # by which a standby follows its primary
failover: example-failover-prod           # whoever changes who is the primary says it to Patroni
transfer: example-transfer-prod           # rsync between the database servers
backups: example-backups-prod             # rsync to the store on the master; pillar/control/passwords.sls has it too
signing: example-signing-prod             # of this environment's backups: what is not signed with it is not restored
