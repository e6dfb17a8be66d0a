include:
  - backup.install
