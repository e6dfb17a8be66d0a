# The application: where it comes from, what runs when nothing else was released, how many processes a server runs, and
# where its database is. It is given all members and takes the one that can be written to, whoever that is.
{%- import_yaml 'passwords.sls' as passwords with context %}
app:
  repository: http://git.saltlick.internal/app.git
  revision: main
  instances: 2
  environment:
    DATABASE_URL: postgresql://app@{{ environment.servers.db.private_ips | join(',') }}/app?target_session_attrs=read-write
    PGPASSWORD: {{ passwords.app | json }}
