"""Whether well-formed backups make sense beside the environment whose servers they are of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from saltlick.backup.pillar.model import S3, BackupJobSpec, Backups, StoreSpec
from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated, unknown
from saltlick.environment.pillar.model import Environment

RESTORED = re.compile(r".+\.before-restore|\..+\.(restored|drill)")
HOUR_S = 3600
FIRST_REGION = "us-east-1"
"""The region that rclone takes where none is given."""


def findings(backups: Backups, stores: Mapping[str, Any], environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong."""
    for name, job in backups.jobs.items():
        where = ("jobs", name)
        yield from unknown([job.servers], environment.servers, "server group", (*where, "servers"), section="servers")
        yield from unknown([job.store], stores, "store", (*where, "store"), section="stores")
        yield from _ages(job, where)
        yield from _folders(job.directories or (), (*where, "directories"))
        if job.servers in environment.servers and job.store in stores:
            yield from _bucket(stores[job.store], environment, job.servers, (*where, "store"))
        yield from _keys_of_master(job, stores.get(job.store), where)
        yield from _signed(job, stores.get(job.store), environment, where)
        if job.drill and job.drill.environment == environment.name and environment.production:
            yield at(
                *where, "drill", "environment", message=f"{environment.name} is marked production: rehearse elsewhere"
            )


def _folders(directories: Sequence[str], where: tuple[str, ...]) -> Iterator[PillarFinding]:
    """Each folder is exchanged by itself when it is restored, so none may lie in another."""
    yield from repeated(directories, where)
    for number, written in enumerate(directories):
        folder = PurePosixPath(written)
        if written.startswith("//") or posixpath.normpath(written) != written:
            yield at(*where, number, message=f"{written} is written with `//`, `.` or `..` in it: write where it is")
        elif RESTORED.fullmatch(folder.name):
            yield at(*where, number, message=f"{written} is a name that restores use for what they put beside a folder")
        elif above := next((other for other in directories if PurePosixPath(other) in folder.parents), None):
            yield at(*where, number, message=f"{written} lies in {above}, which has it already")


def _ages(job: BackupJobSpec, where: tuple[str, ...]) -> Iterator[PillarFinding]:
    every = [timing.every_s for timing in (job.full, job.incremental) if timing and timing.every_s]
    if every and min(every) > job.max_age_s:
        message = f"{job.max_age_s} s are less than the {min(every)} s between two runs: it would be red in between"
        yield at(*where, "max_age_s", message=message)
    if job.splay_s and every and job.splay_s >= min(every):
        yield at(*where, "splay_s", message=f"{job.splay_s} s are as long as the {min(every)} s between two runs")


def _keys_of_master(job: BackupJobSpec, store: Any, where: tuple[str, ...]) -> Iterator[PillarFinding]:
    """Who has the key of a master commands all of its servers."""
    if job.master and isinstance(store, Mapping) and not store.get("encryption_key"):
        message = f"whoever reads store {job.store} would have the master's key: give it an encryption_key"
        yield at(*where, "store", message=message)


def _signed(
    job: BackupJobSpec, store: Any, environment: Environment, where: tuple[str, ...]
) -> Iterator[PillarFinding]:
    """A restore does as root what a backup says, so production believes only backups of its own servers."""
    if environment.production and isinstance(store, Mapping) and not store.get("signing_key"):
        message = f"whoever writes into store {job.store} could make a backup that is restored: give it a signing_key"
        yield at(*where, "store", message=message)


def _bucket(raw: Any, environment: Environment, group: str, where: tuple[str, ...]) -> Iterator[PillarFinding]:
    """Whether the servers' role may store there. What a policy or a profile of their own allows is not judged."""
    store = _bucket_of(raw)
    if store is None:
        return
    name, prefix = store.bucket, store.prefix.strip("/")
    own = next((bucket for bucket in environment.buckets.values() if bucket.name == name), None)
    if own and store.encryption.value != own.encryption:
        message = f"the store has encryption {store.encryption.value}, and bucket {name} has {own.encryption}"
        yield at(*where, message=f"{message}: make them equal")
    if own and not store.endpoint and (store.region or FIRST_REGION) != environment.region:
        yield at(
            *where, message=f"bucket {name} is in {environment.region}: give the store region: {environment.region}"
        )
    spec = environment.servers[group]
    if store.access_key or spec.iam_policy is not None or _given_by_hand(environment):
        return
    granted = spec.buckets.get(name)
    if granted is None:
        message = (
            f"servers of {group} may do nothing in bucket {name}: declare environment.servers.{group}.buckets.{name}"
        )
        yield at(*where, message=message)
    elif granted.access != "write":
        yield at(*where, message=f"servers of {group} may only read in bucket {name}: give them access: write")
    elif granted.prefix and not f"{prefix}/".startswith(f"{granted.prefix}/"):
        message = (
            f"servers of {group} see only {granted.prefix}/ in bucket {name}, and the store is {prefix or 'all of it'}"
        )
        yield at(*where, message=message)


def _bucket_of(raw: Any) -> S3 | None:
    """The bucket of a store that is well formed; what is wrong with another one is said elsewhere."""
    try:
        return StoreSpec.model_validate(raw).s3
    except ValidationError:
        return None


def _given_by_hand(environment: Environment) -> bool:
    return any(entry.kind in ("instance", "instance_profile") for entry in environment.resources)
