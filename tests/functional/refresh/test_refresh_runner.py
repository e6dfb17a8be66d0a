"""`salt-run refresh.*` as typed, without a running master: what is wrong is said before anybody is asked."""

from __future__ import annotations

import pytest
from support.two_environments import answer, orchestrated, two_environments


@pytest.fixture
def two(master):
    return two_environments(master)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["source=two", "target=one"], "one is marked production: no other environment's data ever goes there"),
        (["source=one", "target=one"], "one is marked production"),
        (["one"], "say which is which: source=prod target=test"),
        (["source=one", "target=one,two"], "one environment at a time"),
        (["source=one", "target=ONE"], "ONE: is not an environment"),
        (["source=two", "target=two"], "names one as its source (refresh.source), not two"),
        (["source=one"], "target: name one environment: target="),
        (["source=two", "target=one", "force=True"], "force: is not an argument"),
        (["source=two", "target=one", "pillar={environment: {production: false}}"], "pillar: is not an argument"),
    ],
)
def test_a_refresh_in_disguise_is_refused(two, words, said):
    done = answer(two, "refresh.run", *words)
    assert done["retcode"] == 2
    assert said in done["error"]


def test_a_limit_that_is_no_number_is_a_wrong_argument_and_no_defect(two):
    done = answer(two, "refresh.history", "two", "limit=x")
    assert (done["retcode"], done["problems"]) == (2, ["limit: x is not a number from 0 up"])
    assert answer(two, "refresh.history", "two", "limit=3")["refreshes"] == []


def test_an_orchestrated_refresh_of_production_is_refused_whatever_its_pillar_says(two):
    disguise = {"source": "two", "environment": {"name": "one", "production": False}}
    retcode, wrong = orchestrated(two, "refresh", "one", **disguise)
    assert retcode != 0
    assert "one is marked production: no other environment's data ever goes there" in wrong["data"]


def test_a_mask_that_the_data_cannot_be_changed_by_is_refused_before_anybody_is_asked(two):
    for file in two.folder.glob("pillar/two/*.sls"):
        file.write_text(file.read_text().replace("mask: nothing_personal", "mask: [{command: 'true'}]"))
    done = answer(two, "refresh.run", "source=one", "target=two")
    assert done["retcode"] == 2
    assert done["problems"] == ["refresh.mask[0]: scripts over postgresql have `database` and `sql`"]
