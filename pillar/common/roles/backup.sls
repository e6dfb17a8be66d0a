# The stores that this server's backups go to.
{% include 'stores.sls' %}
