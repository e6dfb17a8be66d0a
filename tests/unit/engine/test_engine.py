"""The engine against a world in memory: what is planned, what is done, in which order, and what a fault leaves behind."""

from __future__ import annotations

import threading

import pytest
from support.engine_world import KINDS, Box, Net, World, box, net, with_after

from saltlick.engine import apply as engine_apply
from saltlick.engine import render
from saltlick.engine.apply import Report
from saltlick.engine.diff import Change
from saltlick.engine.observe import Snapshot
from saltlick.engine.plan import Action, Plan, Verb
from saltlick.engine.resource import Effect, Join, Key, Observed, Ref
from saltlick.environment import provision
from saltlick.errors import AwsError, AwsUnclear, InvalidInput, NeedsDecision
from saltlick.kinds.security_group_rules import Rule


def estate(*resources, environments=("prod",), **more):
    return provision.Estate(environments=environments, region="nowhere-1", resources=resources, **more)


def plan(world: World, *resources, **options) -> Plan:
    return provision.plan(estate(*resources), world, KINDS, **options)


def build(world: World, *resources, **options) -> Report:
    return provision.apply(plan(world, *resources, **options), world, KINDS)


def verbs(found: Plan) -> dict[str, str]:
    return {action.key.address: action.verb.value for action in found.actions}


A = net()
APP = box("app", A)


def test_builds_in_order_of_need_and_a_second_run_changes_nothing():
    world = World()
    report = build(world, APP, A)
    assert [o.verb for o in report.outcomes] == [Verb.CREATE, Verb.CREATE]
    assert world.log == ["create a", "create app"]
    again = build(world, APP, A)
    assert [o.verb for o in again.outcomes] == [Verb.KEEP, Verb.KEEP]
    assert world.log == ["create a", "create app"]
    assert {o.id for o in again.outcomes} == {"net-1", "box-2"}


def test_independent_things_are_made_at_the_same_time():
    """Each create waits until all four are under way: one after the other would break the barrier."""
    barrier = threading.Barrier(4, timeout=5)

    class Meeting(Net):
        def create(self, cloud, wanted):
            barrier.wait()
            return super().create(cloud, wanted)

    world = World()
    kinds = {"net": Meeting()}
    found = provision.plan(estate(*map(net, "abcd")), world, kinds)
    assert provision.apply(found, world, kinds).failed == ()


def test_where_many_can_begin_the_longest_chain_goes_first():
    """One worker, so that the order in which things are begun is the order in which they are made."""
    world = World()
    found = plan(world, net("a"), net("b"), net("c"), box("app", net("c")), with_after(net("d"), box("app", net("c"))))
    engine_apply.apply(found, KINDS, world, workers=1)
    assert world.log[0] == "create c"
    assert set(world.log[1:3]) == {"create a", "create b"}
    assert world.log[3:] == ["create app", "create d"]


def test_a_plan_touches_nothing():
    world = World()
    found = plan(world, A, APP)
    assert verbs(found) == {"net/a": "create", "box/app": "create"}
    assert found.changes_anything
    assert world.things == {}


def test_mutable_fields_and_tags_are_updated_in_place():
    world = World()
    build(world, A, APP)
    world.things["net-1"].tags["Name"] = "by hand"
    found = plan(world, net(colour="red"), APP)
    (action,) = [a for a in found.actions if a.verb is Verb.UPDATE]
    assert [(c.field, c.old, c.new) for c in action.changes] == [
        ("colour", "grey", "red"),
        ("tags.Name", "by hand", "prod-a"),
    ]
    provision.apply(found, world, KINDS)
    assert world.log[-1] == "update a colour,tags"
    assert not plan(world, net(colour="red"), APP).drifted


def test_an_immutable_change_is_refused_before_anything_is_touched_until_it_is_asked_for():
    world = World()
    build(world, A)
    changed = net(cidr="10.9.0.0/16", colour="red")
    with pytest.raises(NeedsDecision, match=r"net/a: cidr can only be changed by replacing it.*replace=net/a"):
        build(world, changed)
    assert world.log == ["create a"]
    build(world, changed, replace=["net/a"])
    assert world.log == ["create a", "destroy a", "create a"]
    assert [t.properties["cidr"] for t in world.things.values()] == ["10.9.0.0/16"]


def test_replacing_asks_for_what_stands_on_it_too():
    world = World()
    build(world, A, APP)
    with pytest.raises(NeedsDecision, match="box/app: net"):
        build(world, A, APP, replace=["net/a"])
    build(world, A, APP, replace=["net/a", "prod-app"])
    assert world.log[2:] == ["destroy app", "destroy a", "create a", "create app"]


def test_replace_of_an_unknown_name_is_refused():
    with pytest.raises(InvalidInput, match="replace=nobody: no such resource is declared"):
        plan(World(), A, replace=["nobody"])


def test_a_noted_change_is_shown_as_drift_and_left_alone():
    world = World()
    build(world, A, box("app", A, script="one"))
    found = plan(world, A, box("app", A, script="two"))
    assert not found.changes_anything
    assert found.drifted
    provision.apply(found, world, KINDS)
    assert world.things["box-2"].properties["script"] == "one"


def test_none_means_not_managed():
    world = World()
    build(world, A, box("app", A, script="one"))
    assert not plan(world, A, APP).drifted


def test_undeclared_objects_are_shown_and_deleted_only_on_request():
    world = World()
    build(world, A, APP)
    found = plan(world, A)
    assert [o.key.address for o in found.undeclared] == ["box/app"]
    assert not found.changes_anything
    provision.apply(found, world, KINDS)
    assert "box-2" in world.things
    build(world, A, prune=True)
    assert "box-2" not in world.things


def test_a_duplicate_is_undeclared_and_the_one_that_is_pointed_to_stays():
    world = World()
    build(world, A)
    spare = world.things["net-1"]
    world.things["net-0"] = type(spare)("net-0", "net", dict(spare.properties), dict(spare.tags))
    world.things["box-9"] = type(spare)(
        "box-9",
        "box",
        {"net": "net-1", "size": 1},
        {"saltlick:environment": "prod", "saltlick:address": "box/app", "Name": "prod-app"},
    )
    assert [o.id for o in plan(world, A, APP).undeclared] == ["net-0"]
    build(world, A, APP, prune=True)
    assert sorted(world.things) == ["box-9", "net-1"]


def test_other_environments_objects_are_neither_seen_nor_touched():
    world = World()
    build(world, A)
    other = net(environment="test")
    provision.apply(provision.plan(estate(other, environments=("test",)), world, KINDS, prune=True), world, KINDS)
    assert len(world.things) == 2


def test_circles_and_double_addresses_are_named():
    one, two = net("one"), net("two")
    with pytest.raises(InvalidInput, match="need each other in a circle"):
        plan(World(), with_after(one, two), with_after(two, one))
    with pytest.raises(InvalidInput, match="prod:net/a: declared twice"):
        plan(World(), A, A)


def test_a_peer_that_is_not_there_is_shown_in_the_plan_and_refused_by_apply():
    peer = net("hub", environment="control")
    lonely = with_after(A)
    inside = box("app", lonely, script=Join(("master=", Ref(peer.key))))
    found = plan(World(), lonely, inside)
    assert [str(ref.key) for ref in found.missing] == ["control:net/hub"]
    with pytest.raises(InvalidInput, match="control:net/hub: does not exist yet: apply control first"):
        provision.apply(found, World(), KINDS)


def test_a_failure_stops_only_what_needs_it_and_everything_is_told():
    world = World()
    b = net("b")
    world.faults["create", "a"] = [("before", AwsError("CreateNet", "VpcLimitExceeded", "no more"))]
    report = build(world, A, APP, b, box("web", b))
    told = {o.key.address: (o.ok, str(o.error or o.waits_for or "")) for o in report.outcomes}
    assert told["net/b"][0]
    assert told["box/web"][0]
    assert told["net/a"] == (False, "CreateNet: VpcLimitExceeded: no more")
    assert told["box/app"] == (False, "prod:net/a")
    with pytest.raises(Exception, match="2 of 4 actions did not succeed"):
        report.require_success()
    assert build(world, A, APP, b, box("web", b)).failed == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_makes_neither_a_duplicate_nor_a_gap(when: str):
    world = World()
    world.faults["create", "a"] = [(when, AwsUnclear("CreateNet", "ConnectionReset", "lost"))]
    report = build(world, A, APP)
    assert report.failed == ()
    assert sorted(t.kind for t in world.things.values()) == ["box", "net"]
    assert world.log.count("create a") == (1 if when == "after" else 2)


def test_answers_that_are_always_lost_fail_in_the_end():
    world = World()
    world.faults["create", "a"] = [("before", AwsUnclear("CreateNet", "ConnectionReset", "lost"))] * 9
    (outcome,) = build(world, A).failed
    assert "ConnectionReset" in str(outcome.error)


def test_ctrl_c_starts_nothing_more_and_says_what_was_not_started():
    world = World()
    told = []

    def watch(outcome):
        told.append(outcome)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        provision.apply(plan(world, A, APP), world, KINDS, watch=lambda o: told.append(o) if told else watch(o))
    assert world.log == ["create a"]
    assert [(o.key.address, o.interrupted) for o in told] == [("net/a", False), ("box/app", True)]


def test_destroy_goes_backwards_and_wants_the_name():
    world = World()
    build(world, A, APP)
    with pytest.raises(InvalidInput, match="type the name back as confirm=prod"):
        provision.plan_destroy(estate(A, APP), world, KINDS, confirm="")
    doomed = provision.plan_destroy(estate(A, APP), world, KINDS, confirm="prod")
    assert provision.apply(doomed, world, KINDS).failed == ()
    assert world.log[2:] == ["destroy app", "destroy a"]
    assert world.things == {}


def test_what_dies_with_its_owner_needs_no_deletion_of_its_own():
    class Rider(Box):
        dies_with = frozenset({"net"})

        def destroy(self, cloud, observed, deadline_s):
            raise AssertionError("AWS does that by itself")

    class Owner(Net):
        def destroy(self, cloud, observed, deadline_s):
            cloud.things = {i: t for i, t in cloud.things.items() if observed.id not in t.properties.values()}
            super().destroy(cloud, observed, deadline_s)

    kinds = {"net": Owner(), "box": Rider()}
    world = World()
    build(world, A, APP)
    doomed = provision.plan_destroy(estate(A, APP), world, kinds, confirm="prod")
    report = provision.apply(doomed, world, kinds)
    assert [o.key.address for o in report.outcomes] == ["net/a", "box/app"]
    assert report.failed == ()
    assert world.things == {}


def test_destroy_refuses_production_and_what_others_lean_on():
    world = World()
    build(world, A, APP)
    with pytest.raises(InvalidInput, match=r"prod\.production: is true"):
        provision.plan_destroy(estate(A, production=frozenset({"prod"})), world, KINDS, confirm="prod")
    world.things["box-2"].tags["saltlick:environment"] = "test"
    with pytest.raises(InvalidInput, match="test:box/app: leans on prod:net/a: destroy test first"):
        provision.plan_destroy(estate(A, others=("test",)), world, KINDS, confirm="prod")


def rule(protocol, first, last, source):
    return Rule(protocol=protocol, from_port=first, to_port=last, source=source)


def test_lists_show_what_comes_and_what_goes():
    """Rules by the group's address, not by AWS's id; what is not made yet as known later."""
    group, later = Key("prod", "net/a"), Key("prod", "net/b")
    old = (rule("tcp", 22, 22, "0.0.0.0/0"), rule("tcp", 80, 80, "net-1"))
    new = (rule("tcp", 80, 80, Ref(group)), rule("udp", 5000, 5010, Ref(later)))
    observed = Observed(key=group, properties={}, attributes={"id": "net-1"})
    action = Action(
        verb=Verb.UPDATE, key=group, title="a", changes=(Change("ingress", old, new, Effect.UPDATE),), observed=observed
    )
    shown = render.text(
        Plan(environments=("prod",), actions=(action,), undeclared=(), missing=(), snapshot=Snapshot({group: observed}))
    )
    assert "ingress: - tcp 22 from 0.0.0.0/0; + udp 5000-5010 from net/b (known later)" in shown


def test_the_plan_reads_well():
    world = World()
    build(world, A, box("app", A, script="one"))
    wanted = (net(colour="red"), box("app", A, script="two"), box("web", A))
    shown = render.text(plan(world, *wanted))
    assert shown.splitlines() == [
        "prod  1 unchanged",
        "  box",
        "    ! box/app  prod-app",
        "        script: one → two  drift, left alone",
        "    + box/web  prod-web",
        "  net",
        "    ~ net/a    prod-a",
        "        colour: grey → red",
        "+ 1 to create  ~ 1 to update  ± 0 to replace  - 0 to delete  1 unchanged  1 drifted",
    ]
    assert render.data(plan(world, *wanted))["counts"] == {
        "create": 1,
        "update": 1,
        "replace": 0,
        "delete": 0,
        "keep": 1,
    }
