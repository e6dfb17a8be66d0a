{%- from 'base/map.jinja' import base with context %}

base-config-motd:
  file.managed:
    - name: /etc/motd
    - contents: {{ base.motd | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
{%- if base.journal.config %}

base-config-journal:
  file.managed:
    - name: {{ base.journal.config }}
    - contents: |
        [Journal]
        Storage=persistent
        SystemMaxUse={{ base.journal.max_use }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
{%- endif %}
