"""What the demo makes of what commands say."""

from __future__ import annotations

import json

from saltlick.demo.sandboxed import changes, summary
from saltlick.demo.stage import LAST_LINES, telling

HIGHSTATE = """salt-master:
----------
          ID: lock
    Function: environment.locked
      Result: True
----------
          ID: page
    Function: environment.reachable
      Result: False
     Comment: nobody answers

Summary for salt-master
"""


def test_failed_states_are_shown_wherever_in_the_output_they_are():
    told = telling(HIGHSTATE + "\n" * 100, ["a late warning"])
    assert "     Comment: nobody answers" in told
    assert not [line for line in told if "environment.locked" in line or "late warning" in line]


def test_without_states_the_last_lines_of_both_streams_are_shown():
    told = telling("".join(f"out {number}\n" for number in range(100)), ["the reason"])
    assert told[-1] == "the reason"
    assert len(told) == LAST_LINES


def test_failed_states_of_json_are_shown_by_name_and_comment():
    states = {
        "a": {"__id__": "lock", "result": True, "comment": "locked"},
        "b": {"__id__": "page", "result": False, "comment": "nobody answers\nafter 60 s"},
    }
    told = telling(json.dumps({"data": {"salt-master": states}}), ["a late warning"])
    assert told == ["page:", "nobody answers", "after 60 s"]


ORCHESTRATION = json.dumps(
    {
        "data": {
            "salt-master": {
                "salt_|-services_|-services_|-state": {
                    "__id__": "services",
                    "__run_num__": 2,
                    "changes": {"ret": {"test-app-1": "…"}},
                    "comment": "States ran successfully.\nUpdating test-app-1.",
                    "duration": 1500.0,
                },
                "salt_|-modules_|-saltutil.sync_all_|-function": {"__run_num__": 1, "changes": {"ret": {}}},
                "environment_|-network_|-test_|-present": {"__id__": "network", "__run_num__": 0, "changes": {}},
            }
        }
    }
)


def test_summary_has_a_line_per_step_in_the_order_they_ran():
    lines = summary(ORCHESTRATION)
    assert [line.split()[0] for line in lines] == [
        "network",
        "salt_|-modules_|-saltutil.sync_all_|-function",
        "services",
    ]
    assert lines[2].endswith("1.5 s  States ran successfully.")


def test_what_configured_something_has_changed_it_and_what_only_asked_has_not():
    assert [line.partition(":")[0] for line in changes(ORCHESTRATION)] == ["salt_|-services_|-services_|-state"]
