"""Backups: taken, kept for as long as the pillar says, proved, and restored. No Salt in here.

run.take       one backup of one job, and what is not wanted any more deleted
freshness      whether each job is what the pillar promises, from what is in the store
restores       a point in time onto a server, tried beside what serves before it takes its place
"""
