"""Simulated months of backups: runs as the commands do them, over a cluster that fails in every way that is known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from support.backup_attempts import Attempts
from support.backup_cluster import KEPT, LOST_AT_MOST, SEGMENT, Clock, Cluster, Content, Server
from support.backup_samples import backup, job, manifest
from support.clock import FakeClock

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.context import BackupContext, BackupJob
from saltlick.backup.freshness import bad_ids
from saltlick.backup.ground import ground
from saltlick.backup.run import take
from saltlick.backup.timelines import lineage
from saltlick.backup.verify import verify
from saltlick.errors import NotReady, SaltlickError
from saltlick.fleet.ports import Call, Reply

HOUR, DAY = 3600, 86400


class Killed(BaseException):
    """The process of the command is gone."""


class Context(BackupContext):
    """Reads each manifest once."""

    def catalogue(self, server: str, store: str, job: str) -> Catalogue:
        self.one(server, Call("backup.catalogue"))
        month = self.fleet
        assert isinstance(month, Month)
        return replace(month.listed(month.manifests), unfinished=tuple(sorted(month.unfinished)))


@dataclass
class Fate:
    """What the next run meets."""

    fails: bool = False
    killed: str = ""
    """`before` or `after` the backup is in the store, or `pruning`."""
    shrinks: bool = False
    silent: str = ""


@dataclass
class Month:
    """One world. `figures` counts what happened, `holes` says each moment that ought to be restorable and is not."""

    seed: int
    figures: Counter[str] = field(default_factory=Counter)
    holes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.clock = Clock()
        self.cluster = Cluster(self.clock)
        self.fate = Fate()
        self.manifests: dict[str, Backup] = {}
        self.unfinished: set[str] = set()
        self.content: dict[str, Content] = {}
        self.ever: dict[str, Backup] = {}
        self.unsettled_until_full: list[tuple[datetime, datetime | None]] = []
        """Times whose moments are not asked for: from what happened to the end of the first full backup after it."""
        self.lost: list[tuple[datetime, datetime | None]] = []
        """Times whose WAL is nowhere: a moment of them is refused, never given wrongly."""
        self.deleted_knowing: dict[str, frozenset[str]] = {}
        """What was known to be damaged when a backup was deleted."""
        self.jobs: dict[str, Reply] = {}
        self.away = False
        """Whether the store cannot be reached."""
        self.skew = dict.fromkeys(self.cluster.servers, 0)
        """By how many seconds the clock of a standby differs from the one that stamps the commits."""
        self.promised_from: datetime | None = None
        """Since when the window is as long as it is: a longer one brings nothing back."""
        self.every = self.dice.choice((1, 2, 3)) * HOUR
        self.window_h = self.dice.choice((24, 48, 72))
        keep = {"daily": self.dice.randint(1, 7), "weekly": self.dice.randint(0, 2), "monthly": self.dice.randint(0, 1)}
        timing = {"full": {"cron": "15 2 * * *"}, "incremental": {"every_s": self.every}}
        self.spec = {**timing, "keep": keep, "max_age_s": 2 * self.every}
        self.subject = self._subject()
        history = Attempts(self.clock.shown)
        self.context = Context(fleet=self, clock=FakeClock(), history=history, today=self.clock.shown)

    def _subject(self) -> BackupJob:
        spec = job(**self.spec, any_moment=f"{self.window_h}h")
        return BackupJob(environment="prod", name="database", job=spec, servers=tuple(self.cluster.servers))

    # What the servers do.

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        return {server: self._one(server, call) for server, call in calls.items()}

    def _one(self, server: str, call: Call) -> Reply:
        if call.function == "detached.start":
            inner = Call(call.args[1], tuple(call.kwargs["args"]), call.kwargs["kwargs"])
            self.jobs[call.args[0]] = self._one(server, inner)
            return Reply(True, {"state": "running"})
        if call.function == "detached.status":
            reply = self.jobs[call.args[0]]
            return Reply(True, {"state": "done" if reply.ok else "failed", "value": reply.value, "error": reply.error})
        if server == self.fate.silent or self.cluster.servers[server].role == "down":
            return Reply(False, error="no answer", silent=True)
        if self.away and call.function in ("backup.catalogue", "backup.take", "backup.verify", "backup.prune"):
            return Reply(False, error="the store cannot be reached")
        act: Callable[[str, Call], Any] = getattr(self, "_" + call.function.replace(".", "_"))
        return (
            Reply(True, act(server, call)) if not self._fails(call) else Reply(False, error="No space left on device")
        )

    def _fails(self, call: Call) -> bool:
        return self.fate.fails and call.function == "backup.take"

    def _backup_catalogue(self, server: str, call: Call) -> Any:
        return {"manifests": [], "unfinished": [], "unreadable": []}

    def _dbrole_get(self, server: str, call: Call) -> Any:
        return {"role": self.cluster.servers[server].role, "by": "postgresql", "seen": ""}

    def _backup_holds(self, server: str, call: Call) -> Any:
        return {"holds": True, "role": self.cluster.servers[server].role, "why": ""}

    def _backup_verify(self, server: str, call: Call) -> Any:
        damaged = self.content[call.args[2]].damaged
        problems = ["base.tar.gz has other content"] if damaged else []
        return {"id": call.args[2], "problems": problems, "size": self.ever[call.args[2]].size}

    def _backup_prune(self, server: str, call: Call) -> Any:
        for place, name in enumerate(call.args[2]):
            if self.fate.killed == "pruning" and place == len(call.args[2]) // 2:
                raise Killed
            self.deleted_knowing[name] = frozenset(self._bad())
            self.manifests.pop(name, None)
            self.unfinished.discard(name)
            self.figures["deleted"] += 1
        return list(call.args[2])

    def _backup_take(self, server: str, call: Call) -> Any:
        if self.fate.killed == "before":
            self.unfinished.add(call.args[2])
            raise Killed
        how, at = call.kwargs, self.clock.now
        source = self.cluster.servers[server]
        joined = self._joined(source, how) if how["mode"] == "incr" else None
        mode = "incr" if joined else "full"
        self.clock.now += 10 if joined else self.dice.randint(120, 1800)
        name = f"{call.args[2].rpartition('-')[0]}-{mode}"
        assert name not in self.ever, f"two backups have the id {name}"
        end = source.line.at(at if joined else self.clock.now)
        begin = self.content[joined].end // SEGMENT * SEGMENT if joined else source.line.at(at)
        self.content[name] = Content(source.line, begin, end)
        if joined:
            source.received_from = max(source.received_from, (end // SEGMENT - KEPT) * SEGMENT)
        last = self.manifests[self._builds_on(source, how, joined)] if joined else None
        parts = {"system": "7", "timeline": source.line.number, "ancestors": source.line.ancestors}
        facts: dict[str, Any] = {
            "id": name, "server": server, "sequence": how["sequence"], "mode": mode,
            "why": how["why"] or ("" if mode == how["mode"] else "the WAL does not join on"),
            "previous": last.id if last else "", "base": (last.base or last.id) if last else "",
            "follows": joined if last and joined != last.id else "",
            "reaches": self.clock.shown(at), "ended": self.clock.shown() + self._off(server),
            "raw_size": 100 if self.fate.shrinks else 4000,
            "lineage": lineage(parts), "left": tuple(line.stopped for line in source.line.path[1:]),
            "born": source.line.born if source.line.parent else None,
        }  # fmt: skip
        written = manifest(replace(backup(self.clock.shown(at)), **facts))
        if not joined:
            written["postgresql"]["consistent"] = f"{self.clock.shown():%Y-%m-%d %H:%M:%S}+00"
        self.manifests[name] = self.ever[name] = Backup.read(written)
        self.figures[mode] += 1
        if not joined:
            shown = self.clock.shown()
            self.unsettled_until_full = [(since, until or shown) for since, until in self.unsettled_until_full]
            self.lost = [(since, until or shown) for since, until in self.lost]
        if self.fate.killed == "after":
            raise Killed
        return written

    def _off(self, server: str) -> timedelta:
        return timedelta(seconds=self.skew[server] if self.cluster.servers[server].role == "standby" else 0)

    def _joined(self, source: Server, how: Mapping[str, Any]) -> str | None:
        """The backup whose WAL the server's goes on from."""
        for name in filter(None, (*how["follows"], how["previous"], *how["others"])):
            received = self.content[name].end // SEGMENT * SEGMENT >= source.received_from
            if name in self.manifests and received and self._goes_on(source, name):
                return str(name)
        return None

    def _goes_on(self, source: Server, name: str) -> bool:
        content = self.content[name]
        return source.line.goes_on(content.line, content.end) and content.end <= source.line.at(self.clock.now)

    def _builds_on(self, source: Server, how: Mapping[str, Any], joined: str) -> str:
        """The last backup, unless the timeline goes on from another one: then the newest since the one that was joined on to."""
        since = [name for name in how["others"] if self.ever[name].sequence > self.ever[joined].sequence]
        return next((name for name in (how["previous"], *since) if self._goes_on(source, name)), joined)

    # What befalls them.

    @property
    def primaries(self) -> list[str]:
        return [name for name, server in self.cluster.servers.items() if server.role == "primary"]

    def failover(self, *, split: bool) -> None:
        if len(self.primaries) != 1:
            return
        old = self.primaries[0]
        new = next(name for name in self.cluster.servers if name != old)
        if self.cluster.servers[new].role != "standby":
            return
        server = self.cluster.servers[new]
        self._stamped_by(new)
        server.line = self._branched(server.line, server.line.at(self.clock.now) - self.dice.randint(0, LOST_AT_MOST))
        server.role = "primary"
        if not split:
            self.cluster.servers[old].role = "down"
            self._lost_with(server.received_from)
        self.figures["two primaries" if split else "failovers"] += 1

    def _lost_with(self, received_from: int) -> None:
        """WAL that the new primary never received, and no backup has, is gone with the disk of the old one."""
        if (last := self._closed()) and self.content[last.id].end // SEGMENT * SEGMENT < received_from:
            self.lost.append((last.reaches, None))
            self.figures["failovers that lost WAL"] += 1

    def _stamped_by(self, primary: str) -> None:
        """Commits are stamped with the clock of another server; where that differs, no times around it are asked for."""
        if seconds := self.skew[primary]:
            since = self.clock.shown() - timedelta(seconds=abs(seconds) + LOST_AT_MOST + 5)
            self.clock.step(seconds)
            until = self.clock.shown() + timedelta(seconds=abs(seconds) + LOST_AT_MOST + 5)
            self.unsettled_until_full.append((since, until))
            self.figures["failovers to another clock"] += 1
            self.skew = {name: value - seconds for name, value in self.skew.items()}

    def _branched(self, line: Any, position: int, stopped: datetime | None = None) -> Any:
        self.cluster.lines += 1
        return self.cluster.branched(line, position, self.cluster.lines, stopped)

    def settle(self) -> None:
        """A person names the primary, which is backed up; the other one becomes its standby."""
        if len(self.primaries) == 2:
            lives = self.dice.choice(self.primaries)
            line = self.cluster.servers[lives].line
            self._lived_on(line)
            self.take("incr", server=lives, primary=lives)
        if len(self.primaries) >= 1:
            lives = lives if len(self.primaries) == 2 else self.primaries[0]
            line = self.cluster.servers[lives].line
            for name, server in self.cluster.servers.items():
                if name != lives and (server.line is not line or server.role == "down"):
                    position = line.at(self.clock.now) // SEGMENT * SEGMENT
                    self.cluster.servers[name] = Server(line, "standby", received_from=position)

    def _lived_on(self, line: Any) -> None:
        """Who served is known only now: a line that nobody wants was never served."""
        served = self.cluster.served
        if served[-1][1] is not line:
            served.pop()

    def restore(self) -> None:
        """Back to a moment: a new timeline on the primary, whose standby is made anew."""
        if len(self.primaries) != 1:
            return
        self.take(self.dice.choice(("full", "incr")))
        moment = self.clock.shown() - timedelta(seconds=self.dice.choice((120, 120, 7 * HOUR)))
        at = self.clock.shown()
        self.take("incr", prune=False)
        if (last := self._closed()) and last.reaches < at:  # it failed: what was not backed up is overwritten
            self.lost.append((last.reaches, self.clock.shown()))
        try:
            chain = self._sound().until(moment)
        except NotReady:
            return
        if any(self.content[link.id].damaged for link in chain):
            return
        reached = self.cluster.restored([self.content[link.id] for link in chain], moment)
        if reached is None:
            return
        self._unsettled()
        line = self._branched(*reached, stopped=moment + timedelta(seconds=1))
        for name, server in self.cluster.servers.items():
            role = "primary" if server.role == "primary" else "standby"
            self.cluster.servers[name] = Server(line, role, received_from=line.left // SEGMENT * SEGMENT)
        self.figures["restores"] += 1

    def step(self) -> None:
        seconds = self.dice.choice((-7200, -900, -120, -5, 5, 120, 900, 7200, 2 * DAY))
        before = self.clock.shown()
        self.clock.step(seconds)
        since = min(before, self.clock.shown()) - timedelta(seconds=2 * self.every)
        self.unsettled_until_full.append((since, max(before, self.clock.shown()) + timedelta(seconds=2 * self.every)))
        self._unsettled()
        self.figures["clock steps"] += 1
        if seconds == 2 * DAY:
            self.clock.now += 2 * HOUR
            self.take("incr")
            self.clock.step(-2 * DAY)
            self._unsettled()

    def drift(self) -> None:
        self.skew[self.dice.choice(self.subject.servers)] = self.dice.choice((-600, -240, -60, 0, 0, 60, 240, 600))
        self.figures["clocks of servers apart"] += 1

    def window(self) -> None:
        """The pillar has another window: a longer one is promised from what the former one has on."""
        former, self.window_h = self.window_h, self.dice.choice((24, 48, 72))
        if self.window_h > former and (last := self._sound().backups):
            held = last[-1].reaches - timedelta(hours=former)
            self.promised_from = max(held, self.promised_from or held)
        self.subject = self._subject()
        self.figures["windows changed"] += 1

    def _unsettled(self) -> None:
        self.unsettled_until_full.append((self.clock.shown() - timedelta(seconds=LOST_AT_MOST + 5), None))

    def damage(self) -> None:
        if self.manifests:
            self.content[self.dice.choice(sorted(self.manifests))].damaged = True
            self.figures["damaged files"] += 1

    # What the commands do.

    def take(self, mode: str, **how: Any) -> None:
        good = self._good()
        self.fate.fails = self.dice.random() < 0.05
        self.fate.killed = self.dice.choice(("before", "after", "pruning")) if self.dice.random() < 0.04 else ""
        self.fate.shrinks = self.dice.random() < 0.01
        try:
            take(self.subject, mode, self.context, **how)
        except SaltlickError as error:
            self.figures["refused" if isinstance(error, NotReady) else "failed"] += 1
        except Killed:
            self.figures["killed"] += 1
        finally:
            self.fate = Fate(silent=self.fate.silent)
        if good and not self._good():
            self.holes.append(f"seed {self.seed}: the last good backup is gone at {self.clock.shown()}")

    def verify(self) -> None:
        if self.manifests:
            verify(self.subject, self.dice.choice(("all", "latest")), self.context)

    def day(self) -> None:
        begin = self.clock.now
        fulls = [("full", begin + after) for after in self._fulls()]
        due = sorted([*fulls, *(("incr", at) for at in range(begin, begin + DAY, self.every))], key=lambda run: run[1])
        befall = [
            (self.dice.randint(begin, begin + DAY), what)
            for chance, what in self._chances()
            if self.dice.random() < chance
        ]
        for at, what in sorted([*((at, mode) for mode, at in due), *befall], key=lambda event: event[0]):
            self.clock.now = max(self.clock.now, at + self.dice.randint(0, 60))
            self.take(what) if what in ("full", "incr") else self._befalls(what)
        self.clock.now = max(self.clock.now, begin + DAY)
        self.figures["days"] += 1
        self.check()

    def _fulls(self) -> tuple[int, ...]:
        """When cron begins full backups: a time of the night comes twice when summer ends, and not at all when it begins."""
        times = (2 * HOUR + 900, 3 * HOUR + 900)
        summer = self.dice.choice(("ends", "begins")) if self.dice.random() < 0.03 else ""
        self.figures["nights that summer begins or ends"] += bool(summer)
        return {"": times[:1], "ends": times, "begins": ()}[summer]

    def _chances(self) -> tuple[tuple[float, str], ...]:
        return (
            (0.05, "failover"), (0.03, "split"), (0.3, "settle"), (0.05, "restore"), (0.05, "step"), (0.05, "damage"),
            (0.4, "verify"), (0.1, "full"), (0.05, "silence"), (0.5, "voice"),
            (0.05, "away"), (0.6, "back"), (0.05, "drift"), (0.03, "window"),
        )  # fmt: skip

    def _befalls(self, what: str) -> None:
        if self.fate.silent and what in ("failover", "split", "settle", "restore"):
            return  # nobody who does not answer is made anew: it may be the only one who has something
        if self.away and what in ("settle", "restore"):
            return  # no restore without its store; and what is not backed up yet is not made anew
        if what in ("failover", "split"):
            self.failover(split=what == "split")
        elif what in ("silence", "voice"):
            self.fate.silent = self.dice.choice(self.subject.servers) if what == "silence" else ""
        elif what in ("away", "back"):
            self.away = what == "away"
            self.figures["times that the store could not be reached"] += self.away
        elif what == "verify":
            try:
                self.verify()
            except SaltlickError:
                self.figures["not verified"] += 1
        else:
            getattr(self, what)()

    # What has to be true.

    def listed(self, backups: Mapping[str, Backup]) -> Catalogue:
        return Catalogue(backups=tuple(sorted(backups.values(), key=lambda backup: backup.order)))

    def _bad(self) -> set[str]:
        return set(bad_ids(self.context.history.of("prod", "database")))

    def _sound(self) -> Catalogue:
        return self.listed(self.manifests).without(self._bad())

    def _closed(self) -> Backup | None:
        """The last backup that moments before it are restored from: those before a full one wait for the increment after it."""
        sound = self._sound().backups
        return next((backup for backup in reversed(sound) if backup.previous), sound[0] if sound else None)

    def _good(self) -> bool:
        catalogue = self._sound()
        undamaged = catalogue.without([name for name in self.manifests if self.content[name].damaged])
        return any(undamaged.whole(backup) for backup in reversed(undamaged.backups))

    def check(self) -> None:
        """Every kind of moment in the window: around the ends of backups, and anywhere."""
        sound = self._sound()
        good = [backup for backup in sound.backups if sound.whole(backup)]
        if not good:
            return
        closed, newest = self._closed() or good[0], self.listed(self.manifests).backups[-1]
        last = closed.reaches
        window = timedelta(hours=self.window_h)  # it went on past what is known to be damaged only now
        first = max(min(backup.ended for backup in good if not backup.previous), newest.reaches - window)
        first = max(first, self.promised_from or first)
        edges = {
            at + timedelta(seconds=by) for backup in good for at in (backup.reaches, backup.ended) for by in (-2, 2)
        }
        anywhere = {first + (last - first) * self.dice.random() for _ in range(20)}
        for moment in sorted(self.dice.sample(sorted(edges), min(20, len(edges))) + sorted(anywhere)):
            moment = moment.replace(microsecond=0)
            if first < moment <= last and not self._excused(moment):
                self.figures["moments"] += 1
                if why := self._missing(sound, moment):
                    self._judge(sound, moment, why)

    def _excused(self, moment: datetime) -> bool:
        times = self.clock.times(moment)
        unsettled = any(
            since <= moment and (until is None or moment <= until) for since, until in self.unsettled_until_full
        )
        return unsettled or len(times) != 1

    def _missing(self, catalogue: Catalogue, moment: datetime) -> str:
        try:
            chain = catalogue.until(moment)
        except NotReady as error:
            return str(error)
        reached = self.cluster.restored([self.content[link.id] for link in chain], moment)
        truth = self.cluster.truth(self.clock.times(moment)[0])
        if reached is None:
            return f"{[link.id for link in chain]} is no chain"
        if not self.cluster.same(reached, truth):
            lines = f"{reached[0].number}@{reached[1]} and not {truth[0].number}@{truth[1]}"
            return f"{[link.id for link in chain]} gives {lines}"
        if any(self.content[link.id].damaged for link in chain):
            return "damaged"
        return ""

    def _only_unseen(self) -> bool:
        """Whether WAL is missing that its server will be asked for once it answers."""
        base = ground(self.subject.job, self.subject.servers, "incr", self._sound(), (), self.clock.shown())
        return self.fate.silent in base.servers

    def _judge(self, sound: Catalogue, moment: datetime, why: str) -> None:
        """Only what a damaged file had, or WAL that is nowhere, is lost without fault."""
        if any(since < moment and (until is None or moment <= until) for since, until in self.lost):
            self.figures["moments whose WAL is nowhere"] += 1
            if not self._refused(sound, moment):
                self.holes.append(f"seed {self.seed}, day {self.figures['days']}: {moment} is given wrongly: {why}")
        elif self._only_damaged(moment):
            self.figures["moments that only damaged files had"] += 1
        elif self._only_unseen():
            self.figures["moments that only an unseen server has"] += 1
        elif why == "damaged":
            self.figures["moments whose damage was not found yet"] += 1
        else:
            self.holes.append(f"seed {self.seed}, day {self.figures['days']}: {moment} cannot be restored: {why}")

    def _refused(self, catalogue: Catalogue, moment: datetime) -> bool:
        try:
            return not catalogue.until(moment)
        except NotReady:
            return True

    def _only_damaged(self, moment: datetime) -> bool:
        everything = self.listed(self.ever)
        undamaged = everything.without([name for name in self.ever if self.content[name].damaged])
        if not self._missing(undamaged, moment):
            return self._deleted_unknowing(undamaged, moment)
        if self._missing(everything, moment) in ("", "damaged"):
            return True
        # The increment that would have reached it became a full backup, for what is before it is damaged.
        before = [
            backup
            for backup in everything.backups
            if backup.reaches < moment and (backup.previous or backup.ended <= moment)
        ]
        after = [backup for backup in everything.backups if before and backup.order > before[-1].order]
        became_full = after and "failed its verification" in after[0].why
        return bool(became_full) and self._only_damaged(before[-1].reaches.replace(microsecond=0))

    def _deleted_unknowing(self, undamaged: Catalogue, moment: datetime) -> bool:
        """Whether what is left has it but for its damage, which nobody knew of when what else had it was deleted."""
        damaged = {name for name in self.manifests if self.content[name].damaged}
        unknowing = [name for name, bad in self.deleted_knowing.items() if not damaged <= bad]
        left = self._missing(self.listed(self.manifests), moment) in ("", "damaged")
        return left and bool(self._missing(undamaged.without(unknowing), moment))
