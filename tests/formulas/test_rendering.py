"""Every formula on every platform, without a container: parameters as in golden/, states that compile, files that render."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import salt._logging
import salt.client
import salt.config
import yaml

salt._logging.shutdown_temp_handler()  # or it writes all it kept, at exit, to a stream that pytest closed
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden")
ROLES = ["nginx", "varnish", "haproxy", "supervisor", "app", "etcd", "postgresql", "zeo", "keepalived", "rsyncd"]
FORMULAS = ["base", "salt_minion", *ROLES]
PLATFORMS = {
    "debian-12": {"os": "Debian", "os_family": "Debian", "osmajorrelease": 12, "kernel": "Linux"},
    "ubuntu-24.04": {"os": "Ubuntu", "os_family": "Debian", "osmajorrelease": 24, "kernel": "Linux"},
    "amazon-2023": {"os": "Amazon", "os_family": "RedHat", "osmajorrelease": 2023, "kernel": "Linux"},
    "rocky-9": {"os": "Rocky", "os_family": "RedHat", "osmajorrelease": 9, "kernel": "Linux"},
    "centos-stream-9": {"os": "CentOS Stream", "os_family": "RedHat", "osmajorrelease": 9, "kernel": "Linux"},
    "freebsd-14": {"os": "FreeBSD", "os_family": "FreeBSD", "osmajorrelease": 14, "kernel": "FreeBSD"},
}


class Minion:
    """`salt-call --local` with the grains of a platform."""

    def __init__(self, folder: Path, grains: dict[str, Any], pillar: dict[str, Any]) -> None:
        (folder / "pillar").mkdir(parents=True)
        (folder / "pillar" / "top.sls").write_text("base: {'*': [suite]}")
        (folder / "pillar" / "suite.sls").write_text(yaml.safe_dump(pillar))
        config = {
            "file_client": "local",
            "id": "test-app-1",
            "root_dir": str(folder),
            "file_roots": {"base": [str(ROOT / "salt")]},
            "pillar_roots": {"base": [str(folder / "pillar")]},
            "grains": {
                "pythonexecutable": "/opt/saltlick/venv/bin/python",
                "ip4_interfaces": {"lo": ["127.0.0.1"], "eth0": ["10.20.10.11"]},
                **grains,
            },
        }
        (folder / "minion").write_text(yaml.safe_dump(config))  # Salt reads grains from the file only
        opts = salt.config.minion_config(str(folder / "minion"), cache_minion_id=False)
        self.call = salt.client.Caller(mopts=opts).cmd

    def parameters(self, formula: str) -> dict[str, Any]:
        """What map.jinja merges for a formula."""
        template = f"{{%- from '{formula}/map.jinja' import {formula} with context %}}{{{{ {formula} | tojson }}}}"
        return self.call("slsutil.renderer", string=template, default_renderer="jinja|json")

    @cached_property
    def lows(self) -> list[dict[str, Any]]:
        """Every state of the highstate, as it would run; fails on what Salt reports instead."""
        lows = self.call("state.show_lowstate")
        assert all(isinstance(low, dict) for low in lows), lows
        return lows


@pytest.fixture(scope="module", params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def minion(platform: str, tmp_path_factory: pytest.TempPathFactory) -> Minion:
    """A minion of the platform whose pillar says its roles, and nothing else."""
    return Minion(tmp_path_factory.mktemp(platform), PLATFORMS[platform], {"roles": ROLES})


def test_merged_parameters_are_the_golden_ones(minion, platform):
    """SALTLICK_WRITE_GOLDEN=1 writes them anew: read the diff."""
    assert minion.call("grains.get", "os") == PLATFORMS[platform]["os"]
    found = {formula: minion.parameters(formula) for formula in FORMULAS}
    golden = GOLDEN / f"{platform}.yaml"
    if os.environ.get("SALTLICK_WRITE_GOLDEN"):
        golden.write_text(yaml.safe_dump(found, sort_keys=True))
    assert yaml.safe_load(golden.read_text()) == found


def test_every_formula_takes_part(minion):
    assert {low["__sls__"].partition(".")[0] for low in minion.lows} == set(FORMULAS)


def test_ids_say_where_they_stand(minion):
    """<formula>-<component>-…, so that a line of a log names its file."""
    odd = [low["__id__"] for low in minion.lows if not low["__id__"].startswith(low["__sls__"].replace(".", "-") + "-")]
    assert not odd


def test_requisites_are_there(minion):
    lows = minion.lows
    known = {(low["state"], low["__id__"]) for low in lows} | {("sls", low["__sls__"]) for low in lows}
    wanted = {
        pair
        for low in lows
        for kind in ("require", "watch", "onchanges")
        for requisite in low.get(kind, ())
        for pair in requisite.items()
    }
    assert wanted <= known, wanted - known


def test_modes_are_quoted_and_owners_said(minion):
    for low in minion.lows:
        if low["state"] == "file":
            mode = low.get("mode") or low.get("dir_mode")
            assert mode is None or (isinstance(mode, str) and mode.startswith("0")), low
        if (low["state"], low["fun"]) == ("file", "managed"):
            assert {"mode", "user", "group"} <= low.keys(), low["__id__"]


def test_files_render(minion):
    templates = [low for low in minion.lows if low.get("template") == "jinja"]
    assert len(templates) >= 15
    for low in templates:
        text = minion.call("slsutil.renderer", path=low["source"], default_renderer="jinja", **_context(low))
        assert "Written by Salt" in text or low["__id__"] == "varnish-config-log-format"
        assert "{{" not in text
        assert "None" not in text


FAILOVER: dict[str, Any] = {
    "roles": ["postgresql", "etcd"],
    "etcd": {"clusters": {"shop": {"members": {"test-app-1": "10.20.10.11", "b": "10.20.10.12", "c": "10.20.10.13"}}}},
    "postgresql": {
        "members": {"test-app-1": "10.20.10.11", "b": "10.20.10.12"},
        "replication": {"password": "it's: a \\ secret"},
        "networks": ["10.20.0.0/16"],
        "settings": {"jit": False, "work_mem": "8MB"},
        "failover": {"cluster": "shop", "password": "p"},
    },
}


@pytest.mark.parametrize("platform_name", ["debian-12", "amazon-2023", "rocky-9"])
def test_failover_renders(tmp_path, platform_name):
    minion = Minion(tmp_path, PLATFORMS[platform_name], FAILOVER)
    templates = {low["name"]: low for low in minion.lows if low.get("template") == "jinja"}
    rendered = {
        name: minion.call("slsutil.renderer", path=low["source"], default_renderer="jinja", **_context(low))
        for name, low in templates.items()
    }
    assert not [name for name, text in rendered.items() if "{{" in text or "None" in text]
    patroni = yaml.safe_load(rendered["/etc/saltlick/patroni.yml"])
    assert patroni["postgresql"]["authentication"]["replication"]["password"] == "it's: a \\ secret"
    assert sorted(patroni["etcd3"]["hosts"]) == ["10.20.10.11:2379", "10.20.10.12:2379", "10.20.10.13:2379"]
    assert patroni["bootstrap"]["dcs"]["postgresql"]["parameters"]["jit"] == "off"
    lasts = patroni["bootstrap"]["dcs"]
    assert lasts["loop_wait"] + 2 * lasts["retry_timeout"] <= lasts["ttl"] < 30
    assert "postgresql.service" not in {low["__sls__"] for low in minion.lows}, "two would start the database"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"failover": {"cluster": "shop"}}, "postgresql:failover:password is missing"),
        ({"failover": {"cluster": "other", "password": "p"}}, "other is none of etcd:clusters: shop"),
        ({"failover": {"cluster": "shop", "password": "p", "within_s": 5}}, "within_s is 5, and at least 30"),
        ({"members": {"test-app-1": "10.20.10.11"}}, "there is no other member, so nobody can take over"),
    ],
)
def test_a_failover_that_cannot_be_is_refused(tmp_path, change, message):
    pillar = {**FAILOVER, "postgresql": {**FAILOVER["postgresql"], **change}}
    problems = Minion(tmp_path, PLATFORMS["debian-12"], pillar).call("state.show_lowstate")
    assert any(message in str(problem) for problem in problems), problems


def test_an_even_number_of_voices_is_refused(tmp_path):
    two = {"members": {"test-app-1": "10.20.10.11", "b": "10.20.10.12"}}
    minion = Minion(tmp_path, PLATFORMS["debian-12"], {**FAILOVER, "etcd": {"clusters": {"shop": two}}})
    problems = minion.call("state.show_lowstate")
    assert any("name an odd number" in str(problem) for problem in problems), problems


def test_failover_without_systemd_is_refused(tmp_path):
    problems = Minion(tmp_path, PLATFORMS["freebsd-14"], FAILOVER).call("state.show_lowstate")
    assert any("need systemd" in str(problem) for problem in problems), problems


def test_an_unknown_platform_is_refused_by_name(tmp_path):
    minion = Minion(tmp_path, {"os": "Haiku", "os_family": "Haiku", "kernel": "Haiku"}, {"roles": ["nginx"]})
    problems = minion.call("state.show_lowstate")
    assert any("knows Debian" in str(problem) and "this server is Haiku" in str(problem) for problem in problems)


def test_an_empty_pillar_is_a_base_server(tmp_path):
    minion = Minion(tmp_path, PLATFORMS["debian-12"], {})
    assert {low["__sls__"].partition(".")[0] for low in minion.lows} == {"base", "salt_minion"}


def test_pillar_wins_over_platform_and_defaults(tmp_path):
    pillar = {"roles": ["nginx"], "nginx": {"port": 8000, "user": "web"}, "haproxy": None}
    minion = Minion(tmp_path, PLATFORMS["debian-12"], pillar)
    nginx = minion.parameters("nginx")
    assert (nginx["port"], nginx["user"], nginx["upstream"]) == (8000, "web", "127.0.0.1:6081")
    assert minion.parameters("haproxy")["bind"] == "*:8080"


def _context(low: dict[str, Any]) -> dict[str, Any]:
    context = low.get("context", {})
    return context if isinstance(context, dict) else {k: v for part in context for k, v in part.items()}
