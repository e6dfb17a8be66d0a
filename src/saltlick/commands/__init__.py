"""Where Salt meets the core: one folder per feature, with the commands of its runner and the states of its state module."""
