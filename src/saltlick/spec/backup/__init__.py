"""The pillar's `backup` and `stores`: parsed and checked against the environment whose servers are backed up.

parse(pillar, environment)  ->  Backups
"""

from saltlick.spec.backup.model import Backups, Check, Drill, Job, Keep, Kind, Script, Store, Timing
from saltlick.spec.backup.parse import ROOT, STORES, parse

__all__ = ["ROOT", "STORES", "Backups", "Check", "Drill", "Job", "Keep", "Kind", "Script", "Store", "Timing", "parse"]
