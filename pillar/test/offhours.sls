# Nights and weekends off: docs/offhours.md. By itself this switches nothing; the master's schedule does, or you:
#   salt-run offhours.status test
offhours:
  timezone: Europe/Berlin
  'off': Mon-Fri 19:00
  'on': Mon-Fri 07:00
  skip_days: [2026-12-24..2027-01-03]      # nothing is switched on these days: what was off stays off
