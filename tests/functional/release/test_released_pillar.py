"""What a server without a release gets: the revision that the journal calls good, or that the others run."""

from __future__ import annotations

from typing import Any

import pytest
from support.fleet import SILENT, FakeFleet
from support.release_master import SHA, written

from saltlick.commands.context import declared_environment
from saltlick.commands.environment.released import released_pillar
from saltlick.commands.release.context import open_journal
from saltlick.release.journal.record import Result, ServerRecord

OTHER = "a" * 40
APPS = ["one-app-1", "one-app-2"]


def released(master, servers: list[str], **current: Any) -> tuple[dict[str, Any], FakeFleet]:
    environment, pillar = declared_environment(master.opts, "one")
    fleet = FakeFleet(revision__current=lambda server, call: current.get(server.replace("-", "_"), ""))
    return released_pillar(master.opts, environment, pillar, servers, fleet), fleet


def ended(master, result: Result, **how: Any) -> None:
    written(master, **how)
    with open_journal(master.opts) as journal:
        journal.finish(how["id"], result)


def test_the_journals_good_revision_goes_to_the_servers_of_the_group(master):
    ended(master, Result.DONE, id="one-1")
    ended(master, Result.ROLLED_BACK, id="one-2", sha=OTHER, started=1795356300.0)
    given, fleet = released(master, ["one-app-2"])
    assert (given, fleet.asked) == ({"released": {"shop": SHA}}, [])


def test_after_a_rollback_it_is_what_was_gone_back_to(master):
    before = (ServerRecord(name="one-app-1", previous=SHA), ServerRecord(name="one-app-2", previous=SHA))
    ended(master, Result.DONE, id="one-1", sha=OTHER, servers=before)
    ended(master, Result.DONE, id="one-2", sha=SHA, rollback=True, started=1795356300.0)
    assert released(master, APPS)[0] == {"released": {"shop": SHA}}


@pytest.mark.parametrize(
    ("current", "given"),
    [
        ({"one_app_1": SHA}, {"released": {"shop": SHA}}),
        ({"one_app_1": SHA, "one_app_2": SHA}, {"released": {"shop": SHA}}),
        ({"one_app_1": SHA, "one_app_2": SILENT}, {"released": {"shop": SHA}}),
        ({"one_app_1": SHA, "one_app_2": OTHER}, {}),
        ({}, {}),
    ],
)
def test_a_master_without_a_journal_asks_the_servers(master, current, given):
    said, fleet = released(master, APPS, **current)
    assert (said, [server for server, _ in fleet.asked]) == (given, APPS)


def test_servers_that_the_recipe_is_not_for_get_nothing_and_nobody_is_asked(master):
    said, fleet = released(master, ["one-db-1"])
    assert (said, fleet.asked) == ({}, [])


def test_an_environment_without_a_recipe_has_no_release(master):
    (master.folder / "pillar/common/release.sls").write_text("{}\n")
    assert released(master, APPS)[0] == {}


@pytest.mark.parametrize(
    "recipe",
    [
        "{application: shop}",
        "{application: shop, servers: web}",
        "[1]",
        "{application: shop, servers: app, balancer: {kind: elbv2, name: www}}",
    ],
)
def test_a_recipe_for_other_environments_or_a_wrong_one_is_in_no_deployments_way(master, recipe):
    (master.folder / "pillar/common/release.sls").write_text(f"release: {recipe}\n")
    said, fleet = released(master, APPS, one_app_1=SHA)
    assert (said, fleet.asked) == ({}, [])
