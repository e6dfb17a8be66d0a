"""The pillar's `backup` and `stores`: parsed and checked against the environment whose servers are backed up.

parse(pillar, environment)  ->  Backups
"""

from saltlick.backup.pillar.model import (
    BackupJobSpec,
    BackupKind,
    Backups,
    Drill,
    RestoreCheck,
    RetentionSpec,
    Script,
    StoreSpec,
    Timing,
    scripted,
)
from saltlick.backup.pillar.parse import BACKUP_KEY, STORES_KEY, parse_backups

__all__ = [
    "BACKUP_KEY",
    "STORES_KEY",
    "BackupJobSpec",
    "BackupKind",
    "Backups",
    "Drill",
    "RestoreCheck",
    "RetentionSpec",
    "Script",
    "StoreSpec",
    "Timing",
    "parse_backups",
    "scripted",
]
