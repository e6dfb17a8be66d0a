"""Saltlick: environments on AWS from pillar and git, by Salt."""
