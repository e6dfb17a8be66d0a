"""The pillar's JSON Schema and reference page, made from the models of every feature."""
