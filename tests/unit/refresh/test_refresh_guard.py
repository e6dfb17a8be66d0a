"""Whatever a target is dressed up as, production is not overwritten: one disguise after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saltlick.refresh.guard import DeclaredEnvironment, Evidence, KnownServer, ShownInstance, objections

PROD = DeclaredEnvironment(
    name="prod", production=True, vpc="prod-vpc", cidr="10.10.0.0/16", servers=("prod-db-1", "prod-db-2")
)
TEST = DeclaredEnvironment(
    name="test", production=False, vpc="test-vpc", cidr="10.20.0.0/16", servers=("test-db-1", "test-db-2")
)
CONTROL = DeclaredEnvironment(
    name="control", production=False, vpc="control-vpc", cidr="172.20.0.0/16", servers=("salt-master",)
)


def shown(name: str, environment: str, vpc: str = "") -> ShownInstance:
    return ShownInstance(
        id=f"i-{name}", name=name, environment=environment, vpc_environment=vpc or environment, address="10.0.0.1"
    )


GOOD = Evidence(
    source=PROD,
    target=TEST,
    others=(CONTROL,),
    shown=(
        shown("test-db-1", "test"),
        shown("test-db-2", "test"),
        shown("prod-db-1", "prod"),
        shown("prod-db-2", "prod"),
    ),
    known={name: KnownServer(environment="test", production=False) for name in TEST.servers},
)
PROD_KNOWS = {name: KnownServer(environment="prod", production=True) for name in PROD.servers}
LIES = {name: KnownServer(environment="test", production=False) for name in PROD.servers}


def test_test_may_have_the_data_of_prod() -> None:
    assert objections(GOOD) == ()


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        pytest.param(
            replace(
                GOOD,
                source=TEST,
                target=PROD,
                known={each: KnownServer(environment="prod", production=True) for each in PROD.servers},
            ),
            "prod is marked production",
            id="names swapped",
        ),
        pytest.param(replace(GOOD, source=PROD, target=PROD), "source and target are both prod", id="the same twice"),
        pytest.param(
            replace(GOOD, source=TEST, target=replace(PROD, production=False), known=PROD_KNOWS),
            "prod-db-1 says that it is of production",
            id="the mark overridden on the master: the servers know better",
        ),
        pytest.param(
            replace(
                GOOD, source=TEST, target=replace(PROD, name="staging", production=False), others=(PROD,), known=LIES
            ),
            "prod-db-1 is a server of the production environment prod",
            id="a copy of its pillar under another name",
        ),
        pytest.param(
            replace(GOOD, target=replace(TEST, vpc="prod-vpc")),
            "declares the network prod-vpc of the production",
            id="its network",
        ),
        pytest.param(
            replace(GOOD, target=replace(TEST, cidr="10.10.0.0/16")),
            "declares the addresses 10.10.0.0/16",
            id="its addresses",
        ),
        pytest.param(
            replace(
                GOOD,
                target=replace(TEST, addresses=("10.10.10.20",)),
                source=replace(PROD, addresses=("10.10.10.20",)),
            ),
            "10.10.10.20 is an address of the production environment prod",
            id="one address of its own",
        ),
        pytest.param(
            replace(GOOD, shown=(shown("test-db-1", "prod"), shown("test-db-2", "test"))),
            "test-db-1 (i-test-db-1) is tagged as of prod, not of test",
            id="a server of prod that bears a name of test",
        ),
        pytest.param(
            replace(GOOD, shown=(shown("test-db-1", "test", "prod"), shown("test-db-2", "test"))),
            "test-db-1 (i-test-db-1) is in a network of prod, not of test",
            id="a server of prod whose tag was changed",
        ),
        pytest.param(
            replace(GOOD, shown=(*(GOOD.shown or ()), shown("test-db-1", "test"))),
            "AWS shows 2 running instances named test-db-1",
            id="two of one name",
        ),
        pytest.param(replace(GOOD, shown=()), "AWS shows 0 running instances named test-db-1", id="AWS knows of none"),
        pytest.param(replace(GOOD, shown=None), "AWS was not asked", id="AWS not asked"),
        pytest.param(
            replace(GOOD, known={**GOOD.known, "test-db-1": KnownServer(environment="prod", production=True)}),
            "test-db-1 says that it is of production",
            id="a minion of prod that bears a name of test",
        ),
        pytest.param(
            replace(GOOD, known={**GOOD.known, "test-db-2": KnownServer(environment="", production=False)}),
            "test-db-2 says that it is of no environment it knows",
            id="a server that knows nothing of itself",
        ),
        pytest.param(
            replace(GOOD, known={**GOOD.known, "test-db-2": "no answer in 20 s"}),
            "test-db-2: no answer in 20 s",
            id="one that is silent",
        ),
        pytest.param(replace(GOOD, known={}), "test-db-1: was not asked", id="servers not asked"),
        pytest.param(replace(GOOD, target=replace(TEST, servers=())), "test has no such servers", id="no servers"),
    ],
)
def test_every_disguise_is_refused(evidence: Evidence, why: str) -> None:
    assert any(why in each for each in objections(evidence)), objections(evidence)


def test_all_objections_are_told() -> None:
    swapped = replace(GOOD, source=TEST, target=PROD, known=LIES)
    said = objections(swapped)
    assert "prod is marked production" in said
    assert any("says that it is of test, not of prod" in each for each in said)
