include:
  - zeo.install
  - zeo.config
  - zeo.service
