"""Observe, diff, plan, apply: makes AWS match a list of resources. Names no kind of AWS object."""
