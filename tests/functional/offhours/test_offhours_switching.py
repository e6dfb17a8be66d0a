"""An environment goes off in order and comes back, by a real Cloud Custodian against moto; what keeps it on."""

from __future__ import annotations

from datetime import timedelta

from support.offhours_estate import (
    APPS,
    ENVIRONMENT,
    FRIDAY_EVENING,
    LIVE,
    MONDAY,
    InstantCustodian,
    RecordingApplication,
    instances,
    record,
    remember,
    run,
    running,
    tag,
)
from support.present import present

from saltlick.offhours.due import KeepOn


def test_it_goes_off_in_order_and_comes_back_the_other_way_round(master, aws):
    application = RecordingApplication(look=lambda: sorted(running(aws) - LIVE))
    assert run(master, FRIDAY_EVENING, application)[0] == 0
    assert application.asked == [
        ("leave night-app-1 night-app-2", ["night-app-1", "night-app-2", "night-db-1"]),
        ("leave night-db-1", ["night-db-1"]),
    ]
    assert running(aws) == LIVE
    assert record(master).done == FRIDAY_EVENING.replace(minute=0)

    retcode, result, text = run(master, FRIDAY_EVENING + timedelta(minutes=10))
    assert (retcode, result["due"], result["why"]) == (0, None, "done")
    assert "next" in result
    assert "on Mon 2026-11-30 07:00 (Europe/Berlin)" in text

    application = RecordingApplication(look=lambda: sorted(running(aws) - LIVE))
    retcode, result, _ = run(master, MONDAY, application)
    assert (retcode, result["complete"]) == (0, True)
    assert application.asked == [
        ("enter night-db-1", ["night-db-1"]),
        ("enter night-app-1 night-app-2", ["night-app-1", "night-app-2", "night-db-1"]),
    ]
    assert running(aws) == LIVE | APPS | {"night-db-1"}


def test_who_started_a_server_by_hand_in_the_evening_keeps_it(master, aws):
    assert run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))[0] == 0
    [server] = [instance["InstanceId"] for instance in instances(aws) if tag(instance, "Name") == "night-app-1"]
    aws("ec2").start_instances(InstanceIds=[server])
    assert run(master, FRIDAY_EVENING + timedelta(hours=2), custodian=InstantCustodian(aws))[1]["why"] == "done"
    assert "night-app-1" in running(aws)


def test_the_first_run_takes_things_as_they_are_and_a_missed_hour_is_caught_up(master, aws):
    saturday = FRIDAY_EVENING + timedelta(hours=15)
    assert "begins with the next hour" in run(master, saturday, custodian=InstantCustodian(aws))[2]
    assert running(aws) >= APPS
    remember(master, done=MONDAY - timedelta(days=4))  # Thursday morning; then nobody ran until Saturday
    retcode, result, _ = run(master, saturday, custodian=InstantCustodian(aws))
    assert (retcode, result["side"], result["why"]) == (0, "off", "caught up")
    assert running(aws) == LIVE


def test_a_failure_keeps_the_database_on_and_the_next_run_goes_on(master, aws):
    application = RecordingApplication()
    application.failing["night-app-2"] = "stop app: exit code 1"
    retcode, result, text = run(master, FRIDAY_EVENING, application, InstantCustodian(aws))
    assert retcode == 4
    assert "night-app-2: failed: stop app: exit code 1" in result["error"]
    assert "db: left: after app" in text
    assert "night-db-1" in running(aws)
    assert record(master).done is None
    assert not present(record(master).last).ok
    retcode, result, _ = run(master, FRIDAY_EVENING + timedelta(minutes=10), custodian=InstantCustodian(aws))
    assert (retcode, result["complete"]) == (0, True)
    assert running(aws) == LIVE


def test_an_environment_that_is_not_built_has_nothing_to_switch(master, aws):
    (master.folder / "pillar/night/environment.sls").write_text(
        ENVIRONMENT.format(name="night", production="false", net="10.71")
        .replace("    app:", "    web:")
        .replace("    db:", "    sql:")
    )
    retcode, result, _ = run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))
    assert (retcode, result["outcomes"]) == (0, [])


def test_it_is_kept_on_until_then_and_goes_off_by_itself(master, aws):
    until = FRIDAY_EVENING + timedelta(hours=3)
    keep = KeepOn(until=until, since=FRIDAY_EVENING - timedelta(hours=1), by="ann", reason="the board")
    remember(master, keep=keep, done=MONDAY - timedelta(days=3))
    retcode, result, text = run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))
    assert (retcode, result["due"]) == (0, None)
    assert "kept on until Fri 2026-11-27 22:05 (Europe/Berlin) by ann: the board" in text
    assert running(aws) >= APPS
    assert run(master, until + timedelta(minutes=4), custodian=InstantCustodian(aws))[1]["side"] == "off"
    assert running(aws) == LIVE
    assert record(master).keep is None
