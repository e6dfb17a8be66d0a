"""The operator's commands about database clusters."""
