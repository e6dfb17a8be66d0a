"""Who is told what and when: red once, a reminder, green once, and what could not be delivered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest

from saltlick.jobs.store import Store
from saltlick.notify.condition import Condition, Feature, Severity
from saltlick.notify.delivery import Delivery, Postman, deliver
from saltlick.notify.message import Message
from saltlick.notify.pillar import parse_notify
from saltlick.notify.records import NotifyRecords

REMIND_S = 3600


@dataclass
class Post:
    """A store, a clock, and a way out that can be cut."""

    records: NotifyRecords
    targets: dict[str, Any] = field(default_factory=lambda: {"oncall": "json://127.0.0.1:1/hush"})
    now: float = 1_000_000.0
    cut: dict[str, str] = field(default_factory=dict)
    """By address, why nothing can be delivered to it."""
    sent: list[tuple[str, Message]] = field(default_factory=list)

    def send(self, url: str, message: Message) -> str:
        if url in self.cut:
            return self.cut[url]
        self.sent.append((url, message))
        return ""

    def look(self, *conditions: Condition) -> tuple[Delivery, ...]:
        for condition in conditions:
            self.records.observe(condition, self.now)
        notify = parse_notify({"notify": {"remind_s": REMIND_S, "targets": self.targets}}, "prod")
        assert notify is not None
        postman = Postman(now=self.now, zone=timezone.utc, address=self.address, send=self.send)
        return deliver("prod", notify, self.records, postman)

    def address(self, url: str) -> str:
        if url.startswith("sdb://lost"):
            raise LookupError(f"the master finds nothing at {url}")
        return url

    @property
    def titles(self) -> list[str]:
        taken, self.sent = [message.title for _, message in self.sent], []
        return taken


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(NotifyRecords(Store(tmp_path / "s.sqlite", durable=False)))


def condition(severity: Severity = Severity.FAILURE, name: str = "database", **more: Any) -> Condition:
    facts = {"environment": "prod", "feature": Feature.BACKUP, "name": name, "severity": severity}
    known = ("there is no good backup",) if severity is not Severity.OK else ()
    return Condition(**{**facts, "known": known, **more})


def test_red_is_told_once_and_green_once(post):
    assert post.look(condition(Severity.OK)) == ()
    post.look(condition())
    assert post.titles == ["RED prod: backup database"]
    post.now += REMIND_S - 1
    assert post.look(condition()) == ()
    post.look(condition(Severity.OK))
    assert post.titles == ["GREEN prod: backup database"]
    assert post.look(condition(Severity.OK)) == ()
    assert post.records.states("prod") == ()


def test_what_stays_red_is_told_again_after_the_time_that_the_pillar_says(post):
    post.look(condition())
    for _ in range(2):
        post.now += REMIND_S
        post.look(condition())
        post.look(condition())
    assert post.titles == ["RED prod: backup database", *["STILL RED prod: backup database"] * 2]


def test_a_reminder_needs_no_look_at_that_thing_itself(post):
    post.look(condition())
    post.now += REMIND_S
    post.look(condition(Severity.OK, name="files"))
    assert post.titles == ["RED prod: backup database", "STILL RED prod: backup database"]


def test_since_when_stays_while_it_is_red(post):
    post.look(condition())
    began = post.now
    post.now += 10
    post.look(condition(known=("something else",)))
    (remembered,) = post.records.states("prod")
    assert (remembered.since, remembered.condition.known) == (began, ("something else",))


def test_what_cannot_be_delivered_is_said_and_tried_again_at_the_next_run(post):
    post.cut["json://127.0.0.1:1/hush"] = "it cannot be reached"
    (delivery,) = post.look(condition())
    assert str(delivery) == (
        "notify oncall: not delivered (it cannot be reached): RED prod: backup database; the next run tries again"
    )
    assert post.records.told(condition())["oncall"].error == "it cannot be reached"
    post.cut.clear()
    post.look()
    assert post.titles == ["RED prod: backup database"]
    assert post.look() == ()


def test_who_could_not_be_told_of_red_is_told_that_it_was(post):
    post.cut["json://127.0.0.1:1/hush"] = "it cannot be reached"
    post.look(condition())
    post.now += 600
    (delivery,) = post.look(condition(Severity.OK))
    assert delivery.error
    post.cut.clear()
    post.look()
    ((_, message),) = post.sent
    assert message.title == "GREEN prod: backup database"
    assert message.body.splitlines() == [
        "It was red from Mon 1970-01-12 13:46:40 UTC to Mon 1970-01-12 13:56:40 UTC.",
        "It was: there is no good backup",
    ]
    assert post.records.states("prod") == ()


def test_one_target_that_is_gone_keeps_nothing_from_the_others(post):
    post.targets = {"lost": "sdb://lost/pager", "chat": "json://127.0.0.1:2/x", "mail": "json://127.0.0.1:3/x"}
    post.cut["json://127.0.0.1:2/x"] = "503"
    deliveries = {delivery.target: delivery.error for delivery in post.look(condition())}
    assert deliveries == {"lost": "the master finds nothing at sdb://lost/pager", "chat": "503", "mail": ""}
    post.cut.clear()
    assert {delivery.target for delivery in post.look(condition())} == {"lost", "chat"}


def test_who_is_told_only_of_failures_is_told_when_a_warning_becomes_one(post):
    post.targets = {
        "all": "json://127.0.0.1:1/all",
        "oncall": {"url": "json://127.0.0.1:1/oncall", "severities": ["failure"]},
    }
    post.look(condition(Severity.WARNING))
    assert [(url[-3:], message.title) for url, message in post.sent] == [("all", "WARNING prod: backup database")]
    post.sent.clear()
    post.look(condition())
    assert post.titles == ["RED prod: backup database"] * 2
    post.look(condition(Severity.WARNING))
    assert post.titles == []
    post.look(condition(Severity.OK))
    assert post.titles == ["GREEN prod: backup database"] * 2


def test_who_wants_other_features_is_told_nothing(post):
    post.targets = {"a": {"url": "json://127.0.0.1:1/x", "features": ["release"]}}
    assert post.look(condition()) == post.look(condition(Severity.OK)) == ()
    assert post.records.states("prod") == ()


def test_a_target_that_is_not_declared_any_more_is_forgotten(post):
    post.look(condition())
    post.targets = {"other": "json://127.0.0.1:1/other"}
    post.look(condition())
    assert post.records.told(condition()).keys() == {"other"}


def test_a_red_that_comes_back_before_green_was_delivered_is_no_news(post):
    post.look(condition())
    post.cut["json://127.0.0.1:1/hush"] = "503"
    post.look(condition(Severity.OK))
    post.cut.clear()
    post.look(condition())
    assert post.titles == ["RED prod: backup database"]


def test_what_a_red_message_says(post):
    post.look(
        condition(
            known=("the store cannot be seen: refused",),
            unknown=("whether the backups are there and whole",),
            next_commands=("salt-run backup.list prod job=database",),
        )
    )
    ((_, message),) = post.sent
    assert message.kind == "failure"
    assert message.body.splitlines() == [
        "Known: the store cannot be seen: refused",
        "Not known: whether the backups are there and whole",
        "Since: Mon 1970-01-12 13:46:40 UTC",
        "Next: salt-run backup.list prod job=database",
    ]
