"""The operator's commands on notifications."""
