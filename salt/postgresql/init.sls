include:
  - postgresql.install
  - postgresql.cluster
  - postgresql.config
  - postgresql.service
  - postgresql.databases
  - postgresql.archive
