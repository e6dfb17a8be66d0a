"""Backups back into databases and folders: fetched, verified, tried beside what serves, then exchanged. Sibling of `backup`."""

import contextlib
import os
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_chains as _chains
    import _saltlick_backup_checks as _checks
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_masks as _masks
    import _saltlick_backup_places as _places
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_recovery as _recovery
    import _saltlick_backup_rewrite as _rewrite
    import _saltlick_backup_scratch as _scratch
    import _saltlick_backup_serving as _serving
    import _saltlick_backup_stage as _stage
    import _saltlick_backup_swap as _swap
    import _saltlick_backup_traces as _traces
    import _saltlick_backup_trees as _trees
    import _saltlick_backup_zodb as _zodb
except ImportError:
    from saltlick.modules import _saltlick_backup_chains as _chains
    from saltlick.modules import _saltlick_backup_checks as _checks
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_masks as _masks
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_recovery as _recovery
    from saltlick.modules import _saltlick_backup_rewrite as _rewrite
    from saltlick.modules import _saltlick_backup_scratch as _scratch
    from saltlick.modules import _saltlick_backup_serving as _serving
    from saltlick.modules import _saltlick_backup_stage as _stage
    from saltlick.modules import _saltlick_backup_swap as _swap
    from saltlick.modules import _saltlick_backup_traces as _traces
    from saltlick.modules import _saltlick_backup_trees as _trees
    from saltlick.modules import _saltlick_backup_zodb as _zodb


def _timelines(order):
    """The number of the timeline that the end of a chain is of, and those of later timelines that the store knows."""
    known = _chains.known(order.place, order.job)
    numbers = {name: facts["postgresql"]["timeline"] for name, facts in known.items() if "postgresql" in facts}
    own = numbers[order.chain[-1]]
    return own, range(own + 1, max(numbers.values()) + 1)


def postgresql(order, folder):
    """A cluster, recovered up to a moment."""
    facts, watch = _postgresql.facts(), _chains.Watch()
    data = _places.real(facts["data_dir"])
    target, masked = _beside(data)
    _places.cluster(data)
    if order.serves:
        _serving.check(facts)
    manifests = _chains.described(order)
    _files.room(_chains.need(folder, manifests), (data.parent, _postgresql.laid_out(manifests), "the restored cluster"))
    chain = _chains.fetched(order, folder, manifests)
    watch("fetch")
    moves = order.moves(manifests[0])
    ready, stays = masked if order.anew else target, None
    try:
        _recovery.lay_out(facts, chain, target, _postgresql.segment_bytes(manifests[0]["postgresql"]))
        watch("lay_out")
        timeline, later = _timelines(order)
        _recovery.reserve(facts, target, later)
        scratch = _recovery.recover(facts, target, order.until, order.deadline_s, timeline)
        try:
            watch("recover")
            outcome = _proved(order, facts, scratch, masked, watch, moves=moves)
        finally:
            scratch.stop()
        held = {"target": str(ready), "source": manifests[0]["postgresql"]["system"] if order.anew else ""}
        if order.serves and not order.anew:
            scratch.finished()
            _rewrite.configured(target, facts, all_of_it=moves)
        if order.hold:
            outcome["held"], stays = held, ready
        elif order.swap:
            outcome["kept"] = postgresql_in_place(held)
        else:
            _swap.rehearse([(target, data)])
        watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        for path in {target, masked} - {stays}:
            _traces.removed(path)


def _beside(data):
    """Where a copy is recovered, and where one is written anew: beside what serves, on the same disk."""
    return data.with_name(f"{data.name}.restored"), data.with_name(f"{data.name}.masked")


def discard():
    """Remove what an interrupted restore of a database left beside what serves, its servers stopped. The folders that went."""
    if not _postgresql.FACTS.exists():
        return []
    facts = _postgresql.facts()
    target, masked = _beside(_places.real(facts["data_dir"]))
    left = [folder for folder in (target, masked, _rewrite.dump_of(masked)) if folder.exists()]
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
        outcome["checks"] = _checks.checked(order.checks, facts["user"], scratch)
        watch("check")
        return outcome
    fresh = _rewrite.rewritten(scratch, facts, masked, logins, order.deadline_s)
    try:
        scratch.stop()
        _traces.removed(scratch.target)
        watch("rewrite")
        outcome["checks"] = _checks.checked(order.checks, facts["user"], fresh)
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
    data = _places.real(facts["data_dir"])
    kept = _swap.aside(data)
    _traces.removed(kept)
    _serving.service("stop", facts["receiver"], optional=True)
    _serving.stopped(facts, optional=not (data / "PG_VERSION").exists())
    if not data.is_dir():  # where a disk was lost
        _stage.user_folder(data, facts["user"])
    try:
        _swap.exchange(target, data)
    except CommandExecutionError:
        _serving.started(facts)
        _serving.service("start", facts["receiver"], optional=True)
        raise
    try:
        _serving.started(facts, exchanged=True)
    except CommandExecutionError as error:
        _serving.stopped(facts, optional=True)
        _swap.exchange(target, data)
        _serving.started(facts, exchanged=True)
        _serving.service("start", facts["receiver"], optional=True)
        raise CommandExecutionError(
            f"the restored cluster does not serve here, so the former one does again: {error}"
        ) from error
    if held["source"] and held["source"] == _rewrite.system(facts, target):
        _traces.removed(target)
    else:
        target.rename(kept)
    if held["source"]:
        _traces.cleared(facts["archive_dir"])
    _serving.service("start", facts["receiver"], optional=True)  # which puts what it has of the former cluster aside
    return str(kept) if kept.exists() else ""


def reseed(keep=True):
    """This server's cluster, made anew from the primary's; without `keep`, nothing that was here stays."""
    facts = _postgresql.facts()
    data = _places.real(facts["data_dir"])
    kept = _swap.aside(data)
    _serving.primary_elsewhere(facts)
    _serving.service("stop", facts["receiver"], optional=True)
    moved = _serving.copied(facts, data, kept)
    if not keep:
        _traces.removed(kept)
        _traces.cleared(facts["archive_dir"])
    _serving.service("start", facts["receiver"], optional=True)
    return {"role": _postgresql.role(facts), "kept": str(kept) if keep and moved else ""}


def zodb(order, folder):
    """Data.fs with its blobs."""
    facts, watch = _zodb.facts(), _chains.Watch()
    (data, beside), (blobs, _) = _zodb.places(facts)
    for place in (data, blobs):
        _places.exchangeable(place, beside)
    manifests = _chains.described(order)
    _files.room(_chains.need(folder, manifests), (data.parent, _zodb.laid_out(manifests), "the restored ZODB"))
    chain = _chains.fetched(order, folder, manifests)
    watch("fetch")
    with _stage.beside(data) as stage, contextlib.ExitStack() as left:
        left.callback(stage.clear)
        stage.make()
        seen = _zodb.restore(facts, chain, stage, manifests, order.deadline_s)
        watch("recover")
        _masks.commands(order.scripts, facts["user"], stage, _zodb.env, order.deadline_s)
        if any(script.get("user") for script in order.scripts):  # what others made there
            _zodb.given(facts, stage)
        watch("scripts")
        if order.anew:
            seen = _zodb.rewritten(facts, stage, order.deadline_s)
            watch("rewrite")
        whole = {"name": "every transaction and blob", "value": seen, "ok": True}
        checks = _checks.checked(order.checks, facts["user"], stage=stage, env=_zodb.env)
        outcome = {"checks": [whole, *checks], "reached": seen["last"]}
        if any(check.get("user") for check in order.checks):
            _zodb.given(facts, stage)
        held = {"keep": not order.anew}
        if order.hold:
            outcome["held"] = held
            left.pop_all()
        elif order.swap:
            outcome["kept"] = _zodb_exchanged(facts, stage, order.anew)
        else:
            _swap.rehearse([(stage.data / "Data.fs", stage.place), (stage.data / "blobs", blobs)])
        watch("swap")
        return {**outcome, "seconds": watch.seconds}


def zodb_in_place(held):
    """Both parts are exchanged while nobody serves them, or neither is. Returns where the former pair is, or nothing."""
    facts = _zodb.facts()
    (data, _), _ = _zodb.places(facts)
    with _stage.beside(data) as stage:
        stage.open()
        return _zodb_exchanged(facts, stage, not held["keep"])


def _zodb_exchanged(facts, stage, anew):
    _, (blobs, _) = _zodb.places(facts)
    _program("stop", facts)
    try:
        _swap.replace([(stage.data / "Data.fs", stage.place), (stage.data / "blobs", blobs)])
        for name in (".index", ".tmp", ".lock"):
            Path(facts["data"] + name).unlink(missing_ok=True)
    finally:
        _program("start", facts)
    return _kept(stage, keep=not anew)


def directories(order, folder):
    """Folders, each exchanged for what was restored beside it."""
    watch, manifests = _chains.Watch(), _chains.described(order)
    places = _places.apart(_declared(order, manifests), folder)
    _trees.owners_known(manifests[-1])
    users = {path: _trees.user(place, (*order.scripts, *order.checks)) for path, place in places.items()}
    for place in places.values():
        _places.exchangeable(place)
    unpacked = [(place.parent, _trees.laid_out(manifests, path), path) for path, place in places.items()]
    _files.room(_chains.need(folder, manifests), *unpacked)
    _chains.fetched(order, folder, manifests)
    watch("fetch")
    outcome = {"checks": [], "reached": manifests[-1]["began"], "kept": []}
    with contextlib.ExitStack() as handles, contextlib.ExitStack() as left:
        stages = {path: handles.enter_context(_stage.beside(place)) for path, place in places.items()}
        for path, stage in stages.items():
            left.callback(stage.clear)
            stage.make()
            archives = [folder / link["id"] / link["directories"][path] for link in manifests]
            _trees.unpack(archives, stage.data, manifests[-1], order.deadline_s)
            _masks.commands(order.scripts, users[path], stage, _trees.env(path), order.deadline_s)
        path, first = next(iter(stages.items()))
        outcome["checks"] = _checks.checked(order.checks, users[path], stage=first, env=_trees.env(path))
        watch("recover")
        if order.hold:
            outcome["held"] = {"places": [str(place) for place in places.values()], "keep": not order.anew}
            left.pop_all()
        elif order.swap:
            outcome["kept"] = _trees_exchanged(stages.values(), keep=not order.anew)
        else:
            _swap.rehearse([(stage.data, stage.place) for stage in stages.values()])
        watch("swap")
        return {**outcome, "seconds": watch.seconds}


def _declared(order, manifests):
    """The folders to restore: those that the caller names, all of which the backups have."""
    if not order.directories:
        raise CommandExecutionError("directories: name the folders to restore, as the job declares them")
    for link in manifests:
        if lacking := [path for path in order.directories if path not in link.get("directories", {})]:
            raise CommandExecutionError(f"{order.job}/{link['id']} has no {', '.join(lacking)}")
    return [path for path in manifests[-1]["directories"] if path in order.directories]


def directories_in_place(held):
    """The restored folders are in their places, all or none. Returns where the former ones are, those that are kept."""
    with contextlib.ExitStack() as handles:
        stages = [handles.enter_context(_stage.beside(Path(place))) for place in held["places"]]
        for stage in stages:
            stage.open()
        return _trees_exchanged(stages, held["keep"])


def _trees_exchanged(stages, keep):
    for stage in stages:
        _traces.removed(_swap.aside(stage.place))
    _swap.replace([(stage.data, stage.place) for stage in stages])
    kept = [_kept(stage, keep) for stage in stages]
    return [path for path in kept if path]


def _kept(stage, keep):
    """Lay what served aside, in the place of what lay there before; without `keep` both go. The stage goes, too."""
    aside = _swap.aside(stage.place)
    _traces.removed(aside)
    former = os.path.lexists(stage.data)
    if keep and former:
        stage.data.rename(aside)
    stage.clear()
    return str(_swap.aside(stage.real)) if keep and former else ""


KINDS = {"postgresql": postgresql, "zodb": zodb, "directories": directories}
IN_PLACE = {"postgresql": postgresql_in_place, "zodb": zodb_in_place, "directories": directories_in_place}
"""The exchange of what `KINDS` held ready."""


def _program(verb, facts):
    _commands.run(["supervisorctl", verb, facts["program"]], deadline_s=120)
