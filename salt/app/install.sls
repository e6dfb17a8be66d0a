{%- from 'app/map.jinja' import app with context %}

include:
  - supervisor

app-install-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ app.packages | tojson }}
    - reload_modules: true

app-install-user:
  user.present:
    - name: {{ app.user }}
    - home: {{ app.dir }}
    - shell: {{ app.shell }}
    - createhome: false
    - system: true
    - usergroup: true

# Programs, and which release is current, are root's; what comes from the repository is the application's own user's.
app-install-program-dirs:
  file.directory:
    - names:
      - {{ app.dir }}
      - {{ app.dir }}/bin
    - user: root
    - group: {{ app.user }}
    - mode: '0755'
    - require:
      - user: app-install-user

app-install-data-dirs:
  file.directory:
    - names:
      - {{ app.dir }}/source
      - {{ app.dir }}/releases
      - {{ app.log_dir }}
    - user: {{ app.user }}
    - group: {{ app.user }}
    - mode: '0755'
    - require:
      - file: app-install-program-dirs
