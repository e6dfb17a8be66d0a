"""What came of a tier's highstate, in the words of the state that ran it: nobody is left out, nothing bad is called well."""

from __future__ import annotations

from typing import Any

import pytest

from saltlick.commands.environment.configure import _ask, highstate_parts, sentence
from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Reply
from saltlick.salt_io.fleet import PING

WELL: dict[str, Any] = {"pkg_|-nginx": {"__id__": "nginx", "result": True, "changes": {}, "comment": ""}}
CHANGED: dict[str, Any] = {
    "file_|-conf": {"__id__": "conf", "result": True, "changes": {"diff": "+x"}, "comment": "up"}
}
FAILED: dict[str, Any] = {
    "cmd_|-reload": {"__id__": "reload", "result": False, "changes": {}, "comment": "\nexit 3\nmore"}
}


def test_servers_without_changes_are_not_shown_and_still_counted():
    parts = highstate_parts({"a": Reply(True, WELL), "b": Reply(True, {**WELL, **CHANGED})})
    assert parts == {
        "result": True,
        "changes": {"out": "highstate", "ret": {"b": {**WELL, **CHANGED}}},
        "comment": "a: 1 state, 0 changed\nb: 2 states, 1 changed",
    }
    assert highstate_parts({"a": Reply(True, WELL)})["changes"] == {}


def test_only_those_that_failed_are_named_with_the_first_line_of_each_state_that_did():
    parts = highstate_parts({"a": Reply(False, {**WELL, **FAILED}, error="no"), "b": Reply(True, WELL)})
    assert parts["result"] is False
    assert parts["comment"] == "a: 1 of 2 states failed: reload: exit 3"
    assert set(parts["changes"]["ret"]) == {"a"}


@pytest.mark.parametrize("value", [None, [], {}, ["Rendering SLS failed"], "no such function", {"a": "text"}])
def test_what_is_no_set_of_states_is_told_by_its_error(value: object):
    parts = highstate_parts({"a": Reply(False, value, error="state.highstate: Rendering SLS failed")})
    assert parts == {"result": False, "changes": {}, "comment": "a: state.highstate: Rendering SLS failed"}


def test_a_foreseen_change_is_undecided_and_a_server_without_states_is_fine():
    assert highstate_parts({"a": Reply(True, CHANGED)}, test=True)["result"] is None
    assert highstate_parts({"a": Reply(True, WELL)}, test=True)["result"] is True
    assert highstate_parts({"a": Reply(True, {})})["comment"] == "a: no states"


def test_no_more_than_three_failures_are_spelt_out():
    many = {f"cmd_|-{n}": {**FAILED["cmd_|-reload"], "__id__": f"r{n}"} for n in range(5)}
    assert sentence(Reply(False, many)) == "5 of 5 states failed: r0: exit 3; r1: exit 3; r2: exit 3; …"


def test_a_state_about_no_server_is_not_well():
    no_list: tuple[Any, ...] = ([], "prod-app-1")
    for servers in no_list:
        with pytest.raises(InvalidInput, match="give a list of minion ids"):
            _ask({}, servers, PING, 1)
