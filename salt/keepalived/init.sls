include:
  - keepalived.install
  - keepalived.config
  - keepalived.service
