{%- from 'varnish/map.jinja' import varnish with context %}

varnish-install-package:
  pkg.installed:
    - name: {{ varnish.package }}
