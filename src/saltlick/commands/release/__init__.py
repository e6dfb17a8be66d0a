"""The operator's commands and states about releases."""
