{%- from 'zeo/map.jinja' import zeo with context %}
{%- from 'supervisor/map.jinja' import supervisor with context %}
{%- set ctl = supervisor.supervisorctl ~ ' -c ' ~ supervisor.config %}

include:
  - supervisor.service
  - zeo.config

zeo-service-updated:
  cmd.run:
    - name: {{ ctl }} update {{ zeo.name }}
    - onchanges:
      - file: zeo-config-program
    - require:
      - service: supervisor-service-running
      - cmd: zeo-install-pip
{%- if zeo.here %}

zeo-service-restarted:
  cmd.run:
    - name: {{ ctl }} restart {{ zeo.name }}
    - onchanges:
      - file: zeo-config-storage
      - file: zeo-config-start-script
      - cmd: zeo-install-pip
    - require:
      - cmd: zeo-service-updated

zeo-service-running:
  cmd.run:
    - name: {{ ctl }} update {{ zeo.name }} && {{ ctl }} start {{ zeo.name }}
    - unless: {{ ctl }} status {{ zeo.name }}
    - require:
      - cmd: zeo-service-restarted
{%- endif %}
