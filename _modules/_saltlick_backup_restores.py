"""Backups back into databases and folders: fetched, verified, tried beside what serves, then exchanged. Sibling of `backup`."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_recovery as _recovery
    import _saltlick_backup_swap as _swap
    import _saltlick_backup_trees as _trees
    import _saltlick_backup_zodb as _zodb
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_recovery as _recovery
    from saltlick.modules import _saltlick_backup_swap as _swap
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
        builds_on = (manifest["previous"], manifest.get("follows"))
        if order.chain[number - 1] not in builds_on if number else manifest["previous"]:
            raise CommandExecutionError(f"{order.job}/{backup} does not follow on {order.chain[number - 1]}")
        folders.append(folder / backup)
    return folders


def _timelines(order):
    """The number of the timeline that the end of a chain is of, and those of later timelines that the store knows."""
    with tempfile.TemporaryDirectory() as folder:
        order.place.manifests(Path(folder), [order.job])
        numbers = {}
        for path in Path(folder).glob(f"{order.job}/*/{_files.MANIFEST}"):
            try:
                numbers[path.parent.name] = _files.read(path)["postgresql"]["timeline"]
            except (CommandExecutionError, KeyError):
                continue  # of another kind, or damaged, which `backup.freshness` says
    own = numbers[order.chain[-1]]
    return own, range(own + 1, max(numbers.values()) + 1)


def postgresql(order, folder):
    """A cluster, recovered up to a moment."""
    facts, watch = _postgresql.facts(), _Watch()
    target = Path(facts["data_dir"]).with_name(Path(facts["data_dir"]).name + ".restored")
    chain = _sound(order, folder)
    watch("fetch")
    try:
        _files.room(target.parent, 3 * sum(path.stat().st_size for path in (chain[0] / "base").iterdir()))
        _recovery.lay_out(facts, chain, target)
        watch("lay_out")
        timeline, later = _timelines(order)
        _recovery.reserve(target, later)
        scratch = _recovery.recover(facts, target, order.until, order.deadline_s, timeline)
        try:
            watch("recover")
            reached = _postgresql.ask(scratch.cluster, "select coalesce(pg_last_xact_replay_timestamp()::text, '')")
            if order.swap and (own := _recovery.logins(facts)):
                # Whoever logs in here goes on with the password that he has here: the application, and standbys too.
                scratch.psql("postgres", own)
            for script in order.scripts:
                scratch.psql(script["database"], script["sql"], deadline_s=order.deadline_s)
            checks = _checked(order.checks, scratch)
            watch("check")
        finally:
            scratch.stop()
        outcome = {"checks": checks, "reached": reached}
        if order.swap:
            scratch.finished()
            outcome["kept"] = _in_place(facts, target)
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _in_place(facts, target):
    """The restored cluster serves; the former data lies beside. Where it does not come up, the former one serves again."""
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
    shutil.rmtree(kept, ignore_errors=True)
    target.rename(kept)
    _service("start", facts["receiver"], optional=True)  # which puts what it has of the former cluster aside
    return str(kept)


def _answers(facts):
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return _postgresql.ask(facts, "select 1")
        except CommandExecutionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def reseed():
    """This server's cluster, made anew from the primary's."""
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
    _service("start", facts["receiver"], optional=True)
    return {"role": _postgresql.role(facts), "kept": str(kept)}


def zodb(order, folder):
    """Data.fs with its blobs."""
    facts, watch = _zodb.facts(), _Watch()
    data, blobs = Path(facts["data"]), Path(facts["blobs"])
    target = data.with_name(f".{data.name}.restored")
    chain = _sound(order, folder)
    watch("fetch")
    try:
        seen = _zodb.restore(facts, chain, target, order.deadline_s)
        watch("recover")
        outcome = {
            "checks": [{"name": "every transaction and blob", "value": seen, "ok": True}],
            "reached": seen["last"],
        }
        outcome["checks"] += _checked(order.checks, None)
        if order.swap:
            _files.given(target, _commands.account(facts["user"]))
            _program("stop", facts)
            for part, there in ((target / "Data.fs", data), (target / "blobs", blobs)):
                _swap.exchange(part, there) if there.exists() else part.rename(there)
            for name in (".index", ".tmp", ".lock"):
                data.with_name(data.name + name).unlink(missing_ok=True)
            _program("start", facts)
            kept = data.with_name(f"{data.name}.before-restore")
            shutil.rmtree(kept, ignore_errors=True)
            target.rename(kept)
            outcome["kept"] = str(kept)
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        shutil.rmtree(target, ignore_errors=True)


def directories(order, folder):
    """Folders, each exchanged for what was restored beside it."""
    watch, chain = _Watch(), _sound(order, folder)
    parts = _files.read(chain[0] / _files.MANIFEST)["directories"]
    watch("fetch")
    outcome, made = {"checks": [], "reached": _files.read(chain[-1] / _files.MANIFEST)["began"], "kept": []}, []
    try:
        for path, archive in parts.items():
            target = Path(path).with_name(f".{Path(path).name}.restored")
            shutil.rmtree(target, ignore_errors=True)
            made.append((Path(path), target))
            _trees.unpack([link / archive for link in chain], target, deadline_s=order.deadline_s)
        outcome["checks"] = _checked(order.checks, None)
        watch("recover")
        if order.swap:
            for path, target in made:
                _swap.exchange(target, path) if path.exists() else target.rename(path)
                kept = path.with_name(f"{path.name}.before-restore")
                shutil.rmtree(kept, ignore_errors=True)
                if target.exists():
                    target.rename(kept)
                    outcome["kept"].append(str(kept))
            watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        for _, target in made:
            shutil.rmtree(target, ignore_errors=True)


KINDS = {"postgresql": postgresql, "zodb": zodb, "directories": directories}


def _checked(checks, scratch):
    """What each check found. Raises: CommandExecutionError with every one that failed."""
    results = [_result_of(check, scratch) for check in checks]
    if bad := [f"{result['name']}: {result['why']}" for result in results if not result["ok"]]:
        raise CommandExecutionError(f"{len(bad)} of {len(results)} checks failed: {'; '.join(bad)}")
    return results


def _result_of(check, scratch):
    name = check["name"]
    try:
        if check.get("query"):
            value = scratch.psql(check["database"], check["query"])
        else:
            env = {"PGHOST": scratch.cluster["socket_dir"], "PGPORT": str(scratch.cluster["port"])} if scratch else {}
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
