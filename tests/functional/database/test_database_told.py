"""What people are told of a database cluster, over a real webhook."""

from __future__ import annotations

from typing import Any

import pytest
from support.receivers import declare
from support.two_environments import two_environments

from saltlick.commands.arguments import caller
from saltlick.commands.database.announced import announced
from saltlick.commands.job import running_job
from saltlick.database.cluster import DatabaseCluster, DatabaseRole, DatabaseServer
from saltlick.database.verdict import findings
from saltlick.jobs.request import JobRequest


@pytest.fixture
def watched(master: Any, received: Any) -> Any:
    """`one` tells the webhook."""
    two_environments(master)
    declare(master, {"targets": {"oncall": received.url}})
    return master


def cluster(first: DatabaseRole, second: DatabaseRole) -> DatabaseCluster:
    """Both servers; a standby streams from a primary."""
    roles = {"one-db-1": first, "one-db-2": second}
    standbys = {name: "sync" for name, role in roles.items() if role is DatabaseRole.STANDBY}
    return DatabaseCluster(
        "one",
        tuple(
            DatabaseServer(
                name=name, role=role, seen="seen", receiving=role is DatabaseRole.STANDBY,
                streams=standbys if role is DatabaseRole.PRIMARY else {},
                lag_bytes=dict.fromkeys(standbys, 0),
            )
            for name, role in roles.items()
        ),
    )  # fmt: skip


PRIMARY, STANDBY, DOWN = DatabaseRole.PRIMARY, DatabaseRole.STANDBY, DatabaseRole.DOWN


def look(master: Any, *roles: DatabaseRole) -> None:
    seen = cluster(*roles)
    announced(master.opts, "ann", seen, findings(seen), lambda _: None)


def test_a_failover_is_told_and_that_all_is_well_again(watched: Any, received: Any) -> None:
    look(watched, PRIMARY, STANDBY)
    assert received.posts == []
    look(watched, DOWN, PRIMARY)
    told = {post["title"]: post["message"] for post in received.posts}
    [cluster_title] = [title for title in told if "database cluster" in title]
    [primary_title] = [title for title in told if "database primary" in title]
    assert "one-db-1: the database does not answer" in told[cluster_title]
    assert "one-db-2 is the primary; at the last look it was one-db-1" in told[primary_title]
    assert "salt-run database.status one" in told[primary_title]
    look(watched, STANDBY, PRIMARY)
    assert len(received.posts) == 4
    assert {post["type"] for post in received.posts[2:]} == {"success"}


def test_two_primaries_are_told_with_the_command(watched: Any, received: Any) -> None:
    look(watched, PRIMARY, PRIMARY)
    [post] = received.posts
    assert "one-db-1 and one-db-2 both say that they are the primary" in post["message"]
    assert "salt-run database.reinit one server=one-db-2" in post["message"]


def test_nobody_is_woken_while_a_job_is_at_work(watched: Any, received: Any) -> None:
    request = JobRequest(
        environments=("one",), feature="backup", action="restore", reason="a restore", caller=caller(user="ann")
    )
    with running_job(watched.opts, request):
        look(watched, DOWN, DOWN)
    assert [post for post in received.posts if "database" in post["title"]] == []
