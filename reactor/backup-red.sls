# Posts each red backup job to a webhook. In the master's configuration:
#
#   saltlick_webhook: https://chat.example.com/hooks/backups
#   reactor:
#     - 'saltlick/*/*/backup/*/red':
#       - /srv/saltlick/reactor/backup-red.sls
#
# The event comes from `backup.freshness`, which Salt's scheduler runs every 15 minutes (environment.scheduled).
tell of the red job:
  runner.http.query:
    - args:
      - url: {{ opts.saltlick_webhook | json }}
      - method: POST
      - header_dict: {Content-Type: application/json}
      - data: {{ {'environment': data.environment, 'job': data.job, 'reasons': data.reasons, 'age_s': data.age_s} | json | json }}
