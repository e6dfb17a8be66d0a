{%- from 'postgresql/map.jinja' import facts with context %}

# What other formulas and modules have to know of this server's database.
postgresql-facts-file:
  file.managed:
    - name: /etc/saltlick/postgresql.json
    - contents: {{ facts | json(sort_keys=True) | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
