include:
  - salt_minion.config
  - salt_minion.service
