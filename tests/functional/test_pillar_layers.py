"""Who gets what of the pillar, compiled by real Salt from the checkout: the environment for the master, its own for a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import salt.config as salt_config
import salt.pillar as salt_pillar

ENVIRONMENTS = ("control", "prod", "test")
APP = {
    "roles": ["nginx", "varnish", "haproxy", "app"],
    "app": {"repository": "http://git.saltlick.internal/app.git", "revision": "main", "instances": 2},
}


@pytest.fixture
def compiled(checkout: Path, tmp_path: Path) -> Any:
    """`compiled(minion id, pillarenv)`: what a master of this checkout gives that minion."""
    opts = salt_config.master_config(None)
    folders = {name: str(tmp_path) for name in ("root_dir", "cachedir", "pki_dir", "sock_dir", "extension_modules")}
    roots = {name: [str(checkout / "pillar" / name), str(checkout / "pillar" / "common")] for name in ENVIRONMENTS}
    opts.update(**folders, pillar_roots=roots)

    def compile_for(minion: str, pillarenv: str | None, claims: str | None = None) -> dict[str, Any]:
        grains = {"id": claims or minion, "environment": pillarenv, "roles": ["app"]}
        return dict(salt_pillar.get_pillar(opts, grains, minion, pillarenv=pillarenv).compile_pillar())

    return compile_for


def test_a_server_gets_its_roles_and_their_settings_and_no_more(compiled):
    assert compiled("prod-app-1", "prod") == APP
    assert compiled("prod-db-2", "prod") == {"roles": ["base"]}
    assert compiled("test-app-1", "test") == APP


@pytest.mark.parametrize("pillarenv", ["prod", "control"])
def test_a_test_server_that_asks_for_another_environment_gets_nothing(compiled, pillarenv):
    assert compiled("test-app-1", pillarenv) == {}
    assert compiled("test-app-1", pillarenv, claims="prod-app-1") == {}, "grains are what a minion says of itself"


def test_an_id_that_only_looks_like_a_servers_gets_nothing(compiled):
    for stranger in ("prod-web-1", "prod-app-1x", "prod-app-", "xprod-app-1", "prod-app-one", "prod"):
        assert compiled(stranger, "prod") == {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("master", ["salt-master_master", "salt-master"])
def test_the_master_sees_each_environment_by_itself(compiled, master, environment):
    assert compiled(master, environment)["environment"]["name"] == environment


def test_an_environment_that_does_not_exist_has_no_pillar(compiled):
    assert compiled("salt-master_master", "prd") == {}


def test_without_pillarenv_a_server_still_gets_its_own_only(compiled):
    assert compiled("prod-app-1", None) == APP
