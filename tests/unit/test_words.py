"""Text of servers is cleaned where it comes in, and once more where it is shown: nothing that they say steers a terminal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import timezone

import pytest
from botocore.exceptions import ClientError
from support.bus import RecordingBus
from support.hostile_text import EVERYTHING, HOSTILE, steering

from saltlick import errors
from saltlick.aws.translate import translate
from saltlick.environment import smoke
from saltlick.jobs.progress import Progress
from saltlick.notify import message
from saltlick.notify.condition import Condition, Feature, RememberedCondition, Severity
from saltlick.terminal import STYLES, painter, table
from saltlick.words import clean, cleaned, one_line, printable

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_steers_is_left(said: str) -> None:
    assert steering(said) or "\n" in said, "the example is none"
    assert not steering(clean(said))
    assert "\n" not in one_line(said)
    assert not steering(printable(said, colour=False))
    clean(said).encode()  # what a terminal cannot take is gone, too


def test_what_people_write_stays() -> None:
    text = "Überraschung: 3 → 4\n\tnaïve, 日本語, 👍🏽 “done”\n"
    assert clean(text) == text


def test_where_colours_are_wanted_colours_are_all_that_is_left() -> None:
    assert printable("\x1b[32mwell\x1b[0m\x1b[2J\x9b1m", colour=True) == "\x1b[32mwell\x1b[0m1m"
    assert not steering(COLOURS.sub("", printable(EVERYTHING, colour=True)))


def test_data_is_cleaned_however_deep_and_stays_what_it_was() -> None:
    value = {"a\x1b[2J": [EVERYTHING, {"b": (EVERYTHING, 1, None, True, 2.5)}]}
    assert not steering(cleaned(value))
    assert cleaned({"a": [1, None, True, "x"]}) == {"a": [1, None, True, "x"]}


def every_error(base: type[errors.SaltlickError]) -> Iterator[type[errors.SaltlickError]]:
    """But those of the demo, which hold what its own commands print."""
    if not base.__module__.startswith("saltlick.demo"):
        yield base
        for kind in base.__subclasses__():
            yield from every_error(kind)


@pytest.mark.parametrize("kind", sorted(set(every_error(errors.SaltlickError)), key=str))
def test_no_error_carries_it_on(kind: type[errors.SaltlickError]) -> None:
    if issubclass(kind, errors.AwsError):
        error: errors.SaltlickError = kind("RunInstances", "Code", EVERYTHING, EVERYTHING)
    elif issubclass(kind, errors.WaitTimeout):
        error = kind("what", EVERYTHING, 1.0)
    elif issubclass(kind, errors.InvalidInput):
        error = kind([EVERYTHING])
    else:
        error = kind(EVERYTHING)
    assert not steering(str(error))


def test_no_answer_of_aws_carries_it_on() -> None:
    refused = ClientError({"Error": {"Code": "Refused", "Message": EVERYTHING}}, "RunInstances")
    assert not steering(str(translate("RunInstances", refused)))


def test_no_page_behind_a_balancer_carries_it_on() -> None:
    body = json.dumps({"server": EVERYTHING, "revision": EVERYTHING, "request_id": "x" * 9999}).encode()
    facts = smoke._facts(body)
    assert not steering(facts)
    assert "\n" not in "".join(facts.values())
    assert len(facts["request_id"]) == smoke.LONGEST_FACT
    assert smoke._facts(b"[1]") == smoke._facts(b"\xff") == {}


@pytest.mark.parametrize("colour", [False, True])
def test_no_remark_and_no_event_of_a_job_carries_it_on(colour: bool) -> None:
    stream, bus = io.StringIO(), RecordingBus()
    with Progress("1", bus, stream=stream, colour=colour) as progress:
        progress.line(EVERYTHING)
        progress.step("prod", "x", detail=EVERYTHING, deep={"a": [EVERYTHING]})
    assert not steering(COLOURS.sub("", stream.getvalue()) if colour else stream.getvalue())
    assert bus.fired
    assert not steering([content for _, content in bus.fired])


@pytest.mark.parametrize("colour", [False, True])
def test_no_cell_of_a_table_carries_it_on_or_makes_a_row_of_its_own(colour: bool) -> None:
    lines = table(("a", "b"), [(EVERYTHING, "x"), ("y", EVERYTHING)], marks=("+", "!"), colour=colour)
    assert len(lines) == 3
    assert not steering([COLOURS.sub("", line) for line in lines])


@pytest.mark.parametrize("mark", [*STYLES, "no style"])
def test_no_painted_line_carries_it_on(mark: str) -> None:
    assert not steering(painter(False)(mark, EVERYTHING))
    assert not steering(COLOURS.sub("", painter(True)(mark, EVERYTHING)))


def test_no_message_carries_it_on_and_no_title_has_a_second_line() -> None:
    condition = Condition(
        environment="prod",
        feature=Feature.BACKUP,
        name=EVERYTHING,
        severity=Severity.FAILURE,
        known=(EVERYTHING,),
        unknown=(EVERYTHING,),
        next_commands=(EVERYTHING,),
    )
    remembered = RememberedCondition(condition=condition, since=1.0)
    told = (
        message.red(remembered, timezone.utc, again=False),
        message.green(remembered, timezone.utc),
        message.trial(EVERYTHING, EVERYTHING),
    )
    for each in told:
        assert not steering((each.title, each.body))
        assert "\n" not in each.title
