"""Who gets what of the pillar, compiled by real Salt from the checkout: the environment for the master, its own for a server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import salt.config as salt_config
import salt.pillar as salt_pillar
import yaml

from saltlick.backup.pillar import parse_backups
from saltlick.environment.pillar import parse_environment
from saltlick.refresh.pillar import parse_refresh

CHECKOUT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ("control", "prod", "test")
DB = ["base", "etcd", "postgresql", "zeo", "keepalived", "rsyncd", "backup"]
ADDRESSES = {"prod": ("10.10.10.20", "10.10.11.20"), "test": ("10.20.10.20", "10.20.11.20")}


def app(environment: str) -> dict[str, Any]:
    """What an application server of that environment gets."""
    database = f"postgresql://app@{','.join(ADDRESSES[environment])}/app?target_session_attrs=read-write"
    return {
        "roles": ["nginx", "varnish", "haproxy", "app"],
        "saltlick": {"environment": environment, "production": environment == "prod"},
        "app": {
            "repository": "http://git.saltlick.internal/app.git",
            "revision": "main",
            "instances": 2,
            "environment": {"DATABASE_URL": database, "PGPASSWORD": f"example-app-{environment}"},
        },
    }


@pytest.fixture
def compiled(checkout: Path, tmp_path: Path) -> Any:
    """`compiled(minion id, pillarenv)`: what a master of this checkout gives that minion."""
    opts = salt_config.master_config(None)
    folders = {name: str(tmp_path) for name in ("root_dir", "cachedir", "pki_dir", "sock_dir", "extension_modules")}
    roots = {name: [str(checkout / "pillar" / name), str(checkout / "pillar" / "common")] for name in ENVIRONMENTS}
    opts.update(**folders, pillar_roots=roots)

    def compile_for(
        minion: str, pillarenv: str | None, claims: str | None = None, roots: Any = None, **options: Any
    ) -> dict[str, Any]:
        grains = {"id": claims or minion, "environment": pillarenv, "roles": ["app"]}
        own = {"pillar_roots": {pillarenv: [str(root) for root in roots]}} if roots else {}
        asked = {**opts, **own, **options}
        return dict(salt_pillar.get_pillar(asked, grains, minion, pillarenv=pillarenv).compile_pillar())

    return compile_for


def test_a_server_gets_its_roles_and_their_settings_and_no_more(compiled):
    assert compiled("prod-app-1", "prod") == app("prod")
    assert compiled("prod-db-2", "prod").keys() == {"roles", "saltlick", "stores", *DB[1:-1]}
    assert compiled("test-app-1", "test") == app("test")


@pytest.mark.parametrize("environment", ADDRESSES)
def test_the_database_servers_know_each_other_and_their_own_passwords(compiled, environment):
    pillar = compiled(f"{environment}-db-2", environment)
    members = {f"{environment}-db-{n}": address for n, address in enumerate(ADDRESSES[environment], 1)}
    assert pillar["roles"] == DB
    assert pillar["postgresql"]["members"] == pillar["keepalived"]["members"] == members
    assert pillar["postgresql"]["users"] == {"app": {"password": f"example-app-{environment}"}}
    assert pillar["postgresql"]["replication"] == {"password": f"example-replication-{environment}"}
    assert pillar["postgresql"]["failover"] == {"cluster": environment, "password": f"example-failover-{environment}"}
    assert pillar["zeo"] == {"server": f"{environment}-db-1", "address": ADDRESSES[environment][0]}
    assert pillar["rsyncd"]["modules"]["transfer"]["allow"] == list(ADDRESSES[environment])
    other = "test" if environment == "prod" else "prod"
    if environment == "test":  # drills and refreshes of prod's backups run here, and believe only what prod has signed
        assert pillar["stores"]["prod-vault"].pop("signing_key") == "example-signing-prod"
    assert f"-{other}" not in json.dumps(pillar)


@pytest.mark.parametrize("environment", ADDRESSES)
def test_the_master_is_the_third_voice_and_all_members_say_the_same(compiled, environment):
    ports = {"client_port": 2379, "peer_port": 2380}
    clusters = [
        {**ports, **compiled(minion, pillarenv)["etcd"]["clusters"][environment]}
        for minion, pillarenv in (
            ("salt-master", "control"),
            (f"{environment}-db-1", environment),
            (f"{environment}-db-2", environment),
        )
    ]
    assert clusters[0] == clusters[1] == clusters[2]
    assert list(clusters[0]["members"]) == [f"{environment}-db-1", f"{environment}-db-2", "salt-master"]


def test_the_master_keeps_each_environments_backups_apart(compiled):
    rsyncd = compiled("salt-master", "control")["rsyncd"]
    assert {name: (module["users"], module["allow"]) for name, module in rsyncd["modules"].items()} == {
        "prod-backups": (["prod"], ["10.10.0.0/16"]),
        "test-backups": (["test"], ["10.20.0.0/16"]),
        "prod-restores": (["test"], ["10.20.0.0/16"]),
    }
    assert [name for name, module in rsyncd["modules"].items() if module["read_only"]] == ["prod-restores"]
    assert rsyncd["modules"]["prod-restores"]["path"] == rsyncd["modules"]["prod-backups"]["path"]
    passwords = {environment: pillar(environment, "passwords")["backups"] for environment in ADDRESSES}
    assert {name: user["password"] for name, user in rsyncd["users"].items()} == passwords


@pytest.mark.parametrize("environment", ADDRESSES)
def test_a_database_server_writes_its_own_store_and_only_tests_read_prods(compiled, environment):
    stores = compiled(f"{environment}-db-1", environment)["stores"]
    assert stores["vault"]["rsync"]["module"] == f"{environment}-backups"
    assert stores["vault"]["rsync"]["password"] == pillar(environment, "passwords")["backups"]
    assert stores["vault"]["signing_key"] == pillar(environment, "passwords")["signing"]
    assert list(stores) == (["vault"] if environment == "prod" else ["vault", "prod-vault"])


@pytest.mark.parametrize("environment", ADDRESSES)
def test_what_the_master_reads_of_backups_and_refreshes_is_sound(compiled, environment):
    found = compiled("salt-master_master", environment)
    declared = parse_environment(found, environment=environment)
    assert set(parse_backups(found, declared).jobs) == {"database", "objects"}
    if environment == "test":
        assert parse_refresh(found, declared).source == "prod"


def pillar(environment: str, name: str) -> Any:
    return yaml.safe_load((CHECKOUT / "pillar" / environment / f"{name}.sls").read_text())


def test_passwords_can_come_from_sdb(checkout, compiled, tmp_path, monkeypatch):
    """`passwords.sls` is the one file to change."""
    own = tmp_path / "test"
    shutil.copytree(checkout / "pillar/test", own)
    secrets = ("app", "replication", "failover", "transfer", "backups", "signing", "signing_of_prod")
    (own / "passwords.sls").write_text(
        "".join(f"{name}: {{{{ salt['sdb.get']('sdb://vault/SECRET_{name}') }}}}\n" for name in secrets)
    )
    for name in secrets:
        monkeypatch.setenv(f"SECRET_{name}", f"{name} from the vault")
    found = compiled("test-db-1", "test", roots=[own, checkout / "pillar/common"], vault={"driver": "env"})
    assert found["postgresql"]["users"] == {"app": {"password": "app from the vault"}}
    assert found["rsyncd"]["users"] == {"transfer": {"password": "transfer from the vault"}}


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
    assert compiled("prod-app-1", None) == app("prod")
