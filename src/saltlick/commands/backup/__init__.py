"""The operator's commands and states about backups."""
