{%- from 'supervisor/map.jinja' import supervisor with context %}
{%- if supervisor.venv %}

supervisor-install-venv:
  cmd.run:
    - name: {{ supervisor.python }} -m venv {{ supervisor.venv }}
    - creates: {{ supervisor.venv }}/bin/pip

supervisor-install-pip:
  cmd.run:
    - name: {{ supervisor.venv }}/bin/pip install {{ supervisor.pip }}
    - unless: {{ supervisor.venv }}/bin/pip freeze | grep -qix '{{ supervisor.pip }}'
    - require:
      - cmd: supervisor-install-venv

supervisor-install-unit:
  file.managed:
    - name: {{ supervisor.unit }}
    - source: salt://supervisor/files/supervisord.service.jinja
    - template: jinja
    - context:
        supervisor: {{ supervisor | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - cmd: supervisor-install-pip
{%- else %}

supervisor-install-package:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ supervisor.packages | tojson }}
{%- endif %}
