{%- from 'base/map.jinja' import base with context %}
{%- if base.journal.config %}

include:
  - base.config

base-service-journal:
  service.running:
    - name: systemd-journald
    - watch:
      - file: base-config-journal
{%- endif %}
