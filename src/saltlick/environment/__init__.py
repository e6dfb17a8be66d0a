"""Environments: one VPC with everything in it, built from its pillar, and the servers admitted to the master."""
