include:
  - varnish.install
  - varnish.config
  - varnish.service
