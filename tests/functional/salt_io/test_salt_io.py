"""What only Salt can say: pillars, keys and their fingerprints, events on the bus."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import salt.utils.crypt
from support.bus import RecordingBus

from saltlick.engine.apply import Outcome
from saltlick.engine.plan import Verb
from saltlick.engine.resource import Key
from saltlick.errors import AwsError, InvalidInput
from saltlick.jobs.progress import Progress
from saltlick.salt_io.events import MasterBus
from saltlick.salt_io.keys import MinionKey, SaltKeys, finger, master_finger
from saltlick.salt_io.pillar import pillar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_each_environment_has_its_own_pillar_and_no_others(master):
    assert pillar_of(master.opts, "one")["environment"]["name"] == "one"
    assert pillar_of(master.opts, "two")["environment"]["name"] == "two"


def test_a_pillar_of_before_is_never_served_from_a_cache(master):
    opts = {**master.opts, "pillar_cache": True, "pillar_cache_backend": "disk"}
    pillar_of(opts, "one")
    master.pillar("one", "environment: {name: one, region: eu-west-1}")
    assert pillar_of(opts, "one")["environment"]["region"] == "eu-west-1"


@pytest.mark.parametrize("name", ["onee", "base", "", "one/../two"])
def test_an_unknown_environment_has_no_empty_pillar(master, name):
    with pytest.raises(InvalidInput, match="pillar_roots has one, two"):
        pillar_of(master.opts, name)


@pytest.fixture
def keys(master) -> Iterator[tuple[SaltKeys, Callable[[str, str], str]]]:
    """The master's keys, and a way to offer one: `offer(status, id)` returns the fingerprint the minion would print."""
    opts = master.opts
    (Path(opts["cachedir"])).mkdir(parents=True, exist_ok=True)
    for status in ("minions", "minions_pre", "minions_rejected", "minions_denied"):
        (Path(opts["pki_dir"]) / status).mkdir(parents=True, exist_ok=True)

    def offer(status: str, minion: str) -> str:
        path = Path(opts["pki_dir"]) / status / minion
        path.write_text(public_key())
        return salt.utils.crypt.pem_finger(str(path), sum_type="sha256")

    with SaltKeys(opts) as desk:
        yield desk, offer


def public_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def test_a_pending_key_is_known_by_the_finger_its_minion_prints(keys):
    desk, offer = keys
    shown = offer("minions_pre", "one-app-1")
    assert desk.pending() == (MinionKey("one-app-1", shown),)
    assert desk.accepted() == ()


def test_the_true_key_is_accepted_although_a_strangers_came_first(keys):
    desk, offer = keys
    stranger, true = offer("minions_pre", "one-app-1"), offer("minions_denied", "one-app-1")
    assert desk.accept(MinionKey("one-app-1", true)) is True
    assert desk.accepted() == (MinionKey("one-app-1", true),)
    assert (desk.pending(), desk.denied()) == ((), ())
    assert desk.accept(MinionKey("one-app-1", stranger)) is False
    assert desk.accepted() == (MinionKey("one-app-1", true),)


def test_only_the_very_key_is_accepted(keys):
    desk, offer = keys
    shown = offer("minions_pre", "one-app-1")
    assert desk.accept(MinionKey("one-app-1", finger(public_key()))) is False
    assert desk.accept(MinionKey("one-app-2", shown)) is False
    assert [key.id for key in desk.pending()] == ["one-app-1"]
    assert desk.accept(MinionKey("one-app-1", shown)) is True
    assert desk.accepted() == (MinionKey("one-app-1", shown),)
    assert desk.pending() == ()


def test_an_id_with_glob_characters_accepts_and_deletes_nobody_else(keys):
    desk, offer = keys
    trap = offer("minions_pre", "one-app-[1]")
    offer("minions_pre", "one-app-1")
    assert desk.accept(MinionKey("one-app-[1]", trap)) is True
    assert [key.id for key in desk.pending()] == ["one-app-1"]
    offer("minions", "one-db-1")
    assert desk.delete("one-db-*") is False
    assert {key.id for key in desk.accepted()} == {"one-app-[1]", "one-db-1"}


def test_a_key_is_forgotten(keys):
    desk, offer = keys
    offer("minions", "one-app-1")
    assert desk.delete("one-app-1") is True
    assert desk.accepted() == ()
    assert desk.delete("one-app-1") is False


def test_the_masters_key_is_made_once_and_only_when_asked_for(master):
    opts = master.opts
    assert master_finger(opts) == ""
    made = master_finger(opts, create=True)
    assert len(made.split(":")) == 32
    assert master_finger(opts, create=True) == made
    private = Path(opts["pki_dir"]) / "master.pem"
    assert stat.S_IMODE(private.resolve().stat().st_mode) & 0o077 == 0


OUTCOME: dict[str, Any] = {"key": Key("one", "vpc/main"), "title": "one-vpc", "id": "vpc-1", "duration_ms": 12}


def test_progress_tells_what_changed_with_its_milliseconds_and_not_what_was_fine(master):
    stream = io.StringIO()
    with Progress("2026", MasterBus(master.opts), stream=stream) as progress:
        progress.watch(Outcome(verb=Verb.KEEP, **OUTCOME))
        progress.watch(Outcome(verb=Verb.CREATE, **OUTCOME))
        progress.watch(
            Outcome(verb=Verb.DELETE, error=AwsError("DeleteVpc", "DependencyViolation", "in use"), **OUTCOME)
        )
    created, failed = stream.getvalue().splitlines()
    assert created == "+ one:vpc/main  vpc-1  12 ms"
    assert "DependencyViolation" in failed
    assert "\x1b" not in stream.getvalue()


def test_progress_is_an_event_each_on_the_bus(master):
    bus = RecordingBus()
    with Progress("2026", bus, stream=io.StringIO()) as progress:
        progress.watch(Outcome(verb=Verb.CREATE, **OUTCOME))
    [(tag, content)] = bus.fired
    assert tag == "saltlick/one/2026/create/vpc/main"
    assert content["id"] == "vpc-1"
    assert content["duration_ms"] == 12
    assert content["ok"] is True
