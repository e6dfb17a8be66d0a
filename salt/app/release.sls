{%- from 'app/map.jinja' import app with context %}
{%- set source = app.dir ~ '/source' %}
{#- What the other servers run (orch.deploy-environment says it), so that a new one is no newer than they are. #}
{%- set revision = app.revision if app.follow else salt['pillar.get']('released:' ~ app.name) or app.revision %}
{%- set kept = 'test -e ' ~ app.dir ~ '/current/REVISION' %}
{%- set release = app.dir ~ '/releases/$(git -C ' ~ source ~ ' rev-parse HEAD)' %}

include:
  - app.install

app-release-source:
  git.latest:
    - name: {{ app.repository }}
    - rev: {{ revision | tojson }}
    - target: {{ source }}
    - user: {{ app.user }}
    - force_fetch: true
    - force_reset: true
    {%- if not app.follow %}
    - unless: {{ kept }}
    {%- endif %}
    - require:
      - pkg: app-install-packages
      - file: app-install-data-dirs

app-release-build-script:
  file.managed:
    - name: {{ app.dir }}/bin/build-release
    - source: salt://app/files/build-release.sh
    - user: root
    - group: {{ app.user }}
    - mode: '0755'
    - require:
      - file: app-install-program-dirs

# REVISION is written last: a folder without it is a build that was interrupted. The module `revision`, by which releases do
# the same, relies on that.
app-release-built:
  cmd.run:
    - name: {{ app.dir }}/bin/build-release {{ source }} {{ app.dir }}/releases {{ app.python }} {{ app.requirements }}
    - runas: {{ app.user }}
    - unless: {{ '' if app.follow else kept ~ ' || ' }}test -e {{ release }}/REVISION
    - require:
      - file: app-release-build-script
      - git: app-release-source
