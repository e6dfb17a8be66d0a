"""What the demo shows of a command that failed."""

from __future__ import annotations

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
