{%- from 'salt_minion/map.jinja' import salt_minion with context %}

salt_minion-config-settings:
  file.serialize:
    - name: {{ salt_minion.config_dir }}/minion.d/saltlick-settings.conf
    - dataset: {{ salt_minion.settings | tojson }}
    - serializer: yaml
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true

salt_minion-config-restart-script:
  file.managed:
    - name: {{ salt_minion.restart.script }}
    - source: salt://salt_minion/files/restart_when_idle.py
    - user: root
    - group: 0
    - mode: '0755'
    - makedirs: true
