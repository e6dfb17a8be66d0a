{%- from 'backup/map.jinja' import backup, kinds with context %}

# The stores' passwords stay in pillar: _modules/backup.py hands them on by environment. The tools of a database pass through
# here as its user, to a folder of their own.
backup-install-dir:
  file.directory:
    - names:
      - /var/lib/saltlick
      - /var/lib/saltlick/backup
    - user: root
    - group: 0
    - mode: '0711'
{%- for kind in kinds | sort %}

backup-install-{{ kind }}:
  pkg.installed:
    - install_recommends: false
    - name: {{ backup[kind] }}
{%- endfor %}
