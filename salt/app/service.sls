{%- from 'app/map.jinja' import app with context %}
{%- from 'supervisor/map.jinja' import supervisor with context %}
{%- set ctl = supervisor.supervisorctl ~ ' -c ' ~ supervisor.config %}
{%- set current = app.dir ~ '/current' %}
{%- set source = app.dir ~ '/source' %}
{%- set sha = '$(git -c safe.directory=' ~ source ~ ' -C ' ~ source ~ ' rev-parse HEAD)' %}

include:
  - supervisor.service
  - app.release
  - app.config

# Last before the restart, so that no failure in between leaves the old code running under the new name.
app-service-activated:
  cmd.run:
    - name: ln -sfn releases/{{ sha }} {{ current }}.new && {{ app.rename }} {{ current }}.new {{ current }}
    - unless: test {{ '"$(readlink ' ~ current ~ ')" = releases/' ~ sha if app.follow else '-e ' ~ current ~ '/REVISION' }}
    - require:
      - cmd: app-release-built
      - file: app-config-program
      - service: supervisor-service-running

app-service-updated:
  cmd.run:
    - name: {{ ctl }} update {{ app.name }}
    - onchanges:
      - file: app-config-program
    - require:
      - cmd: app-service-activated

app-service-restarted:
  cmd.run:
    - name: {{ ctl }} restart '{{ app.name }}:*'
    - onchanges:
      - cmd: app-service-activated
      - file: app-config-start-script
    - require:
      - cmd: app-service-updated

app-service-running:
  cmd.run:
    - name: {{ ctl }} update {{ app.name }} && {{ ctl }} start '{{ app.name }}:*'
    - unless: {{ ctl }} status '{{ app.name }}:*'
    - require:
      - cmd: app-service-restarted
