"""`salt-run notify.*` as typed: each target is tried, and what is red is listed."""

from __future__ import annotations

import json

from support.receivers import declare, mailbox

from saltlick.commands.job import open_store
from saltlick.notify.condition import Feature
from saltlick.notify.jobs import failed
from saltlick.notify.records import NotifyRecords


def test_each_target_is_tried(watched, received):
    with mailbox() as box:
        declare(watched, {"targets": {"chat": received.url, "mail": box.url}})
        done = watched.run("notify.test", "one")
    assert (done.code, done.stdout.splitlines()) == (0, ["chat (json): sent", "mail (mailto): sent"]), done
    assert received.titles == ["TEST one: notify chat"]
    assert [mail["Subject"] for mail in box.mails] == ["TEST one: notify mail"]


def test_one_that_fails_is_named_with_why_and_its_address_is_nowhere(watched, received):
    received.status = 404
    secret = f"{received.url}/hush-hush"
    declare(watched, {"targets": {"chat": secret, "pager": "sdb://vault/hush-too"}})
    done = watched.run("notify.test", "one", "--out=json", "-l", "debug")
    assert done.code == 4, done
    assert done.json["targets"]["chat"] == {
        "service": "json",
        "sent": False,
        "error": done.json["targets"]["chat"]["error"],
    }
    assert "404" in done.json["targets"]["chat"]["error"]
    assert done.json["targets"]["pager"]["error"] == "the master finds nothing at sdb://vault/hush-too"
    assert "hush-hush" not in done.stdout
    assert "hush-hush" not in "".join(
        line for line in done.stderr.splitlines() if "urllib3" in line or "apprise" in line
    )


def test_nobody_is_declared(master):
    done = master.call("notify.test", "two")["return"]
    assert done["retcode"] == 2
    assert done["problems"] == [
        "notify: the pillar of two names nobody who is told (for the master: top file, '*_master')"
    ]


def test_a_wrong_address_stops_a_job_before_anything_is_touched(watched):
    declare(watched, {"targets": {"oncall": "slakc://hush-hush"}})
    for function in ("notify.test", "environment.apply", "environment.drift"):
        done = watched.call(function, "one")["return"]
        assert done["retcode"] == 2, done
        assert done["problems"] == [
            "notify.targets.oncall: Apprise knows no service slakc://; did you mean slack? (https://appriseit.com/services/)"
        ]
    assert watched.call("environment.history", "one")["return"]["jobs"] == []


def test_what_is_red_is_listed_and_taken_off_the_list(watched):
    with open_store(watched.opts) as store:
        NotifyRecords(store).observe(failed("one", Feature.BACKUP, "restore of x", "it failed"), 1_000_000.0)
    done = watched.call("notify.status", "one")["return"]
    (condition,) = done["conditions"]
    assert (condition["name"], condition["severity"], condition["known"]) == ("restore of x", "failure", ["it failed"])
    json.dumps(done)
    wrong = watched.call("notify.clear", "one", "what=backup y")["return"]
    assert wrong["problems"] == ["what: backup y is not red; there is backup restore of x"]
    assert watched.call("notify.clear", "one", "what=backup restore of x")["return"]["retcode"] == 0
    assert watched.run("notify.status", "one").stdout.strip() == "one: nothing is red"
