"""The environment `one` with a recipe."""

from __future__ import annotations

import pytest
from support.release_master import ENVIRONMENT, RECIPE
from support.salt_master import CHECKOUT


@pytest.fixture
def master(master):
    """The environment `one` with a recipe."""
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  '*_master': [environment, release]\n")
    (master.folder / "pillar/common/release.sls").write_text(RECIPE)
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    master.pillar("one", ENVIRONMENT)
    return master
