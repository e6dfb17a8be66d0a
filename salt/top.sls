# Every server gets base and salt_minion; pillar key `roles` says what else it is.
base:
  '*':
    - base
    - salt_minion
{%- for role in salt['pillar.get']('roles', []) if role not in ('base', 'salt_minion') %}
    - {{ role }}
{%- endfor %}
