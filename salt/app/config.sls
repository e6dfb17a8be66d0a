{%- from 'app/map.jinja' import app with context %}
{%- from 'supervisor/map.jinja' import supervisor with context %}

include:
  - app.install

app-config-start-script:
  file.managed:
    - name: {{ app.dir }}/bin/start-instance
    - source: salt://app/files/start-instance.sh.jinja
    - template: jinja
    - context:
        app: {{ app | tojson }}
        server: {{ grains['id'] | tojson }}
    - show_changes: false
    - user: root
    - group: {{ app.user }}
    - mode: '0750'
    - require:
      - file: app-install-program-dirs

app-config-program:
  file.managed:
    - name: {{ supervisor.program_dir }}/{{ app.name }}.conf
    - source: salt://app/files/program.conf.jinja
    - template: jinja
    - context:
        app: {{ app | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - sls: supervisor.config
      - file: app-config-start-script
