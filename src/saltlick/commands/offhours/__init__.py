"""The operator's commands and states about off-hours."""
