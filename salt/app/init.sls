include:
  - app.install
  - app.release
  - app.config
  - app.service
