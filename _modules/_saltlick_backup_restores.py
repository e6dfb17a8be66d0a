"""Backups back into databases and folders: fetched, verified, tried beside what serves, then exchanged. Sibling of `backup`."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_masks as _masks
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_recovery as _recovery
    import _saltlick_backup_rewrite as _rewrite
    import _saltlick_backup_scratch as _scratch
    import _saltlick_backup_swap as _swap
    import _saltlick_backup_traces as _traces
    import _saltlick_backup_trees as _trees
    import _saltlick_backup_zodb as _zodb
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_masks as _masks
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_recovery as _recovery
    from saltlick.modules import _saltlick_backup_rewrite as _rewrite
    from saltlick.modules import _saltlick_backup_scratch as _scratch
    from saltlick.modules import _saltlick_backup_swap as _swap
    from saltlick.modules import _saltlick_backup_traces as _traces
    from saltlick.modules import _saltlick_backup_trees as _trees
    from saltlick.modules import _saltlick_backup_zodb as _zodb

BEGIN = "/usr/local/sbin/postgresql-begin"
ANSWERS_WITHIN_S = 120


@dataclass(frozen=True)
class Order:
    """What `backup.restore` was asked for."""

    place: Any
    job: str
    chain: tuple
    until: str
    scripts: tuple
    checks: tuple
    swap: bool
    deadline_s: float
    anew: bool = False
    """Written anew before it serves, so that nothing is left of what the scripts changed."""
    hold: bool = False
    """Left beside what serves, for `exchange`."""
    environment: str = ""
    """What this server belongs to; empty where its pillar does not say."""

    @property
    def serves(self):
        """Whether it is to take the place of what serves, now or later."""
        return self.swap or self.hold

    def moves(self, manifest):
        """Whether data is to serve that is another environment's, or is made like that."""
        owner = manifest.get("environment", "")
        return self.serves and (self.anew or (bool(owner and self.environment) and owner != self.environment))


def fetched(place, job, backup, folder, deadline_s):
    """Copy a backup from its store; its manifest. Raises: CommandExecutionError, also where there is no manifest."""
    place.get(job, backup, folder, deadline_s=deadline_s)
    manifest = _files.read(folder / _files.MANIFEST)
    if not manifest:
        raise CommandExecutionError(f"store {place.name} has no finished backup {job}/{backup}")
    return manifest


def _sound(order, folder):
    """The local folders of a chain, every file of them as its manifest says."""
    folders = []
    for number, backup in enumerate(order.chain):
        manifest = fetched(order.place, order.job, backup, folder / backup, order.deadline_s)
        if problems := _files.differences(folder / backup, manifest):
            raise CommandExecutionError(f"{order.job}/{backup} is damaged: {'; '.join(problems)}")
        if (manifest["previous"] or backup) != (order.chain[number - 1] if number else backup):
            raise CommandExecutionError(f"{order.job}/{backup} does not follow on {order.chain[number - 1]}")
        folders.append(folder / backup)
    return folders


def postgresql(order, folder):
    """A cluster, recovered up to a moment."""
    facts, watch = _postgresql.facts(), _Watch()
    target, masked = _beside(facts)
    chain = _sound(order, folder)
    watch("fetch")
    manifest = _files.read(chain[0] / _files.MANIFEST)
    ready, stays = masked if order.anew else target, None
    try:
        _files.room(target.parent, 3 * sum(path.stat().st_size for path in (chain[0] / "base").iterdir()))
        _recovery.lay_out(facts, chain, target)
        watch("lay_out")
        scratch = _recovery.recover(facts, target, order.until, order.deadline_s)
        try:
            watch("recover")
            outcome = _proved(order, facts, scratch, masked, watch, moves=order.moves(manifest))
        finally:
            scratch.stop()
        held = {"target": str(ready), "source": manifest["postgresql"]["system"] if order.anew else ""}
        if order.serves and not order.anew:
            scratch.finished()
            if order.moves(manifest):
                _rewrite.configured(target, facts)
        if order.hold:
            outcome["held"], stays = held, ready
        elif order.swap:
            outcome["kept"] = postgresql_in_place(held)
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        for path in {target, masked} - {stays}:
            _traces.removed(path)


def _beside(facts):
    """Where a copy is recovered, and where one is written anew: beside what serves, on the same disk."""
    data = Path(facts["data_dir"])
    return data.with_name(f"{data.name}.restored"), data.with_name(f"{data.name}.masked")


def discard():
    """Remove what an interrupted restore of a database left beside what serves, its servers stopped. The folders that went."""
    if not _postgresql.FACTS.exists():
        return []
    facts = _postgresql.facts()
    left = [folder for folder in (*_beside(facts), _rewrite.dump_of(_beside(facts)[1])) if folder.exists()]
    for folder in left:
        _scratch.Scratch(facts, folder).stop()
        _traces.removed(folder)
    return [str(folder) for folder in left]


def _proved(order, facts, scratch, masked, watch, moves):
    """What the scripts make of the copy, and what the checks find; written anew into `masked` where that is asked for."""
    reached = _postgresql.ask(scratch.cluster, "select coalesce(pg_last_xact_replay_timestamp()::text, '')")
    outcome = {"reached": reached, "notes": scratch.asleep()}
    # Whoever logs in here goes on with the password that he has here: the application, and standbys too.
    logins = _recovery.logins(facts) if order.serves else ""
    if moves:
        if scratch.obstacle:
            raise CommandExecutionError(
                f"a copy of another environment is changed without a network only, and here it has one: {scratch.obstacle}"
            )
        outcome["notes"] = _rewrite.detached(scratch, order.anew)
    if logins and not order.anew:
        scratch.psql("postgres", logins)
    _masks.sql(order.scripts, scratch, order.deadline_s)
    watch("scripts")
    if not order.anew:
        outcome["checks"] = _checked(order.checks, scratch)
        watch("check")
        return outcome
    fresh = _rewrite.rewritten(scratch, facts, masked, logins, order.deadline_s)
    try:
        scratch.stop()
        _traces.removed(scratch.target)
        watch("rewrite")
        outcome["checks"] = _checked(order.checks, fresh)
        watch("check")
    finally:
        fresh.stop()
    _rewrite.completed(fresh, facts)
    return outcome


def postgresql_in_place(held):
    """The restored cluster serves; the former data lies beside. Where it does not come up, the former one serves again.

    What was written anew begins with an empty archive; and a former cluster that is itself a copy of the source (`source`: its
    system identifier) is not kept. Returns where the former data is, or nothing.
    """
    facts, target = _postgresql.facts(), Path(held["target"])
    data = Path(facts["data_dir"])
    kept = data.with_name(f"{data.name}.before-restore")
    _service("stop", facts["receiver"], optional=True)
    _service("stop", facts["service"], optional=not (data / "PG_VERSION").exists())
    data.mkdir(mode=0o700, exist_ok=True)  # where a disk was lost
    _swap.exchange(target, data)
    try:
        _service("start", facts["service"])
        _answers(facts)
    except CommandExecutionError as error:
        _service("stop", facts["service"], optional=True)
        _swap.exchange(target, data)
        _service("start", facts["service"])
        _service("start", facts["receiver"], optional=True)
        raise CommandExecutionError(
            f"the restored cluster does not serve here, so the former one does again: {error}"
        ) from error
    _traces.removed(kept)
    if held["source"] and held["source"] == _rewrite.system(facts, target):
        _traces.removed(target)
    else:
        target.rename(kept)
    if held["source"]:
        _traces.cleared(facts["archive_dir"])
    _service("start", facts["receiver"], optional=True)  # which puts what it has of the former cluster aside
    return str(kept) if kept.exists() else ""


def _answers(facts):
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return _postgresql.ask(facts, "select 1")
        except CommandExecutionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def reseed(keep=True):
    """This server's cluster, made anew from the primary's; without `keep`, nothing that was here stays."""
    facts = _postgresql.facts()
    data = Path(facts["data_dir"])
    kept = data.with_name(f"{data.name}.before-restore")
    elsewhere = [
        address for address in facts["members"].values()
        if _postgresql.is_primary(facts, address)
    ]  # fmt: skip
    if not elsewhere:
        raise CommandExecutionError(
            "no other member of this cluster is a primary, so there is nothing to be a standby of"
        )
    _service("stop", facts["receiver"], optional=True)
    _service("stop", facts["service"])
    shutil.rmtree(kept, ignore_errors=True)
    data.rename(kept)
    try:
        _commands.run([BEGIN], deadline_s=3600)
        if not (data / "standby.signal").exists():  # the primary went away, and an empty cluster was begun
            raise CommandExecutionError("there was no primary any more")
    except CommandExecutionError as error:
        shutil.rmtree(data, ignore_errors=True)
        kept.rename(data)
        _service("start", facts["service"])
        raise CommandExecutionError(
            f"no copy of the primary could be made, so what was here serves on: {error}"
        ) from error
    _service("start", facts["service"])
    _answers(facts)
    if not keep:
        _traces.removed(kept)
        _traces.cleared(facts["archive_dir"])
    _service("start", facts["receiver"], optional=True)
    return {"role": _postgresql.role(facts), "kept": str(kept) if keep else ""}


def zodb(order, folder):
    """Data.fs with its blobs."""
    facts, watch = _zodb.facts(), _Watch()
    data = Path(facts["data"])
    target, stays = data.with_name(f".{data.name}.restored"), None
    chain = _sound(order, folder)
    watch("fetch")
    try:
        seen = _zodb.restore(facts, chain, target, order.deadline_s)
        watch("recover")
        env = {"ZODB_DATA": str(target / "Data.fs"), "ZODB_BLOBS": str(target / "blobs")}
        _masks.commands(order.scripts, env, order.deadline_s)
        watch("scripts")
        if order.anew:
            seen = _zodb.rewritten(facts, target, order.deadline_s)
            watch("rewrite")
        whole = {"name": "every transaction and blob", "value": seen, "ok": True}
        outcome = {"checks": [whole, *_checked(order.checks, None, env)], "reached": seen["last"]}
        held = {"target": str(target), "keep": not order.anew}
        _files.given(target, _commands.account(facts["user"]))
        if order.hold:
            outcome["held"], stays = held, target
        elif order.swap:
            outcome["kept"] = zodb_in_place(held)
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        if target != stays:
            _traces.removed(target)


def zodb_in_place(held):
    """The restored pair serves; the former one lies beside where it is kept. Returns where that is, or nothing."""
    facts, target = _zodb.facts(), Path(held["target"])
    data, blobs = Path(facts["data"]), Path(facts["blobs"])
    _program("stop", facts)
    for part, there in ((target / "Data.fs", data), (target / "blobs", blobs)):
        _swap.exchange(part, there) if there.exists() else part.rename(there)
    for name in (".index", ".tmp", ".lock"):
        data.with_name(data.name + name).unlink(missing_ok=True)
    _program("start", facts)
    return _kept(target, data, held["keep"])


def directories(order, folder):
    """Folders, each exchanged for what was restored beside it."""
    watch, chain = _Watch(), _sound(order, folder)
    parts = _files.read(chain[0] / _files.MANIFEST)["directories"]
    watch("fetch")
    targets = {path: Path(path).with_name(f".{Path(path).name}.restored") for path in parts}
    outcome, stays = {"checks": [], "reached": _files.read(chain[-1] / _files.MANIFEST)["began"], "kept": []}, set()
    try:
        for path, archive in parts.items():
            _traces.removed(targets[path])
            _trees.unpack([link / archive for link in chain], targets[path], deadline_s=order.deadline_s)
            env = {"ORIGINAL": path, "RESTORED": str(targets[path])}
            _masks.commands(order.scripts, env, order.deadline_s)
        outcome["checks"] = _checked(order.checks, None, {"RESTORED": str(next(iter(targets.values())))})
        watch("recover")
        held = {"targets": {path: str(target) for path, target in targets.items()}, "keep": not order.anew}
        if order.hold:
            outcome["held"], stays = held, set(targets.values())
        elif order.swap:
            outcome["kept"] = directories_in_place(held)
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        for target in set(targets.values()) - stays:
            _traces.removed(target)


def directories_in_place(held):
    """The restored folders are in their places. Returns where the former ones are, those that are kept."""
    kept = []
    for path, target in ((Path(path), Path(target)) for path, target in held["targets"].items()):
        _swap.exchange(target, path) if path.exists() else target.rename(path)
        if target.exists():
            kept.append(_kept(target, path, held["keep"]))
    return [path for path in kept if path]


def _kept(former, place, keep):
    """Lay what served aside, in the place of what lay there before; without `keep` both go."""
    aside = place.with_name(f"{place.name}.before-restore")
    _traces.removed(aside)
    if not keep:
        _traces.removed(former)
        return ""
    former.rename(aside)
    return str(aside)


KINDS = {"postgresql": postgresql, "zodb": zodb, "directories": directories}
IN_PLACE = {"postgresql": postgresql_in_place, "zodb": zodb_in_place, "directories": directories_in_place}
"""The exchange of what `KINDS` held ready."""


def _checked(checks, scratch, env=None):
    """What each check found. Raises: CommandExecutionError with every one that failed."""
    results = [_result_of(check, scratch, env or {}) for check in checks]
    if bad := [f"{result['name']}: {result['why']}" for result in results if not result["ok"]]:
        raise CommandExecutionError(f"{len(bad)} of {len(results)} checks failed: {'; '.join(bad)}")
    return results


def _result_of(check, scratch, env):
    name = check["name"]
    try:
        if check.get("query"):
            value = scratch.psql(check["database"], check["query"])
        else:
            if scratch:
                env = {**env, "PGHOST": scratch.cluster["socket_dir"], "PGPORT": str(scratch.cluster["port"])}
            value = _commands.run(
                ["sh", "-c", check["command"]], user=check.get("user", ""), env=env, deadline_s=300
            ).strip()
    except CommandExecutionError as error:
        return {"name": name, "ok": False, "why": str(error)}
    return {"name": name, "value": value, **_verdict(check, value)}


def _verdict(check, value):
    if check.get("equals") is not None and value != str(check["equals"]):
        return {"ok": False, "why": f"is {value!r} and not {str(check['equals'])!r}"}
    if check.get("at_least") is not None:
        try:
            if float(value) < float(check["at_least"]):
                return {"ok": False, "why": f"is {value}, less than {check['at_least']}"}
        except ValueError:
            return {"ok": False, "why": f"{value!r} is no number"}
    return {"ok": True}


def _service(verb, name, optional=False):
    """Source: `service`, which Debian, Red Hat and FreeBSD all have."""
    if not name:
        return
    _commands.run(["service", name, verb], deadline_s=300, allowed=tuple(range(256)) if optional else (0,))


def _program(verb, facts):
    _commands.run(["supervisorctl", verb, facts["program"]], deadline_s=120)


class _Watch:
    """Seconds per part of a job: call it at the end of each."""

    def __init__(self):
        self.seconds, self._last = {}, time.monotonic()

    def __call__(self, part):
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 2)
        self._last = now
