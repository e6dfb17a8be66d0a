include:
  - rsyncd.install
  - rsyncd.config
  - rsyncd.service
