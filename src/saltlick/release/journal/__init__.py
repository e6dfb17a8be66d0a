"""The durable record of releases, on the master."""
