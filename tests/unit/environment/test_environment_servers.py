"""Servers by name, the tiers they are configured in, and what they are told at first boot."""

from __future__ import annotations

import pytest
from support.pillar_cases import changed, pillar

from saltlick.engine.resource import Join, Key, Ref
from saltlick.environment.pillar import Boot, declared_servers, parse_environment, server_tiers
from saltlick.errors import InvalidInput

MINION = "#!/bin/sh\nid: {{ id }}\nenvironment: {{ environment }}\nmaster: {{ master }}\nfinger: {{ master_finger }}\n"
MASTER = "#!/bin/sh\n{{ id }} {{ environment }} {{ repository }}@{{ revision }}\n"


def environment(name="prod", **change):
    return parse_environment(changed(pillar(name), change), environment=name)


@pytest.fixture
def scripts(tmp_path):
    (tmp_path / "minion.sh.j2").write_text(MINION)
    (tmp_path / "master.sh.j2").write_text(MASTER)
    return tmp_path


def test_a_server():
    server = declared_servers(environment())[3]
    assert (server.name, server.address, server.group, server.number) == ("prod-app-2", "instance/app-2", "app", 2)
    assert (server.zone, server.subnet, server.private_ip) == ("us-east-1b", "private-az2", None)
    assert server.roles == ("nginx", "varnish", "haproxy", "app")


def test_a_named_server():
    (server,) = declared_servers(environment("control"))
    assert (server.name, server.address, server.private_ip) == ("salt-master", "instance/salt-master", "172.20.0.10")


def test_tiers_follow_the_pillar():
    assert server_tiers(environment()) == (("prod-db-1", "prod-db-2"), ("prod-app-1", "prod-app-2"))


def test_tiers_as_told():
    assert server_tiers(environment(**{"servers.app.tier": 1, "servers.db.tier": 1})) == (
        ("prod-db-1", "prod-db-2", "prod-app-1", "prod-app-2"),
    )
    assert server_tiers(environment(**{"servers.db.tier": 9, "servers.app.count": 1})) == (
        ("prod-app-1",),
        ("prod-db-1", "prod-db-2"),
    )


def user_data(environment_, boot, *peers):
    return boot.user_data(declared_servers(environment_)[0], environment_, {peer.name: peer for peer in peers})


def test_a_minion_is_told_the_masters_fixed_address(scripts):
    boot = Boot(master_finger="ab:cd", scripts=scripts)
    assert user_data(environment(), boot, environment("control")) == (
        "#!/bin/sh\nid: prod-db-1\nenvironment: prod\nmaster: 172.20.0.10\nfinger: ab:cd\n"
    )


def test_a_minion_is_told_the_masters_address_when_it_is_known(scripts):
    boot = Boot(master_finger="ab:cd", scripts=scripts)
    script = user_data(environment(), boot, environment("control", **{"servers.salt-master.private_ips": []}))
    assert isinstance(script, Join)
    before, address, after = script.parts
    assert address == Ref(Key("control", "instance/salt-master"), "private_ip")
    assert isinstance(before, str)
    assert isinstance(after, str)
    assert (before.splitlines()[-1], after.splitlines()[0]) == ("master: ", "")


def test_the_pillars_own_master_comes_first(scripts):
    boot = Boot(master_finger="ab:cd", scripts=scripts)
    assert "master: salt.example.com\n" in user_data(environment(**{"salt.master": "salt.example.com"}), boot)


def test_the_master_is_told_where_the_project_is(scripts):
    control = environment("control")
    script = user_data(control, Boot(master_finger="", scripts=scripts))
    assert script == "#!/bin/sh\nsalt-master control http://git.saltlick.internal/saltlick.git@main\n"
    given = Boot(master_finger="", repository="https://x/y.git", revision="v1", scripts=scripts)
    assert user_data(control, given) == "#!/bin/sh\nsalt-master control https://x/y.git@v1\n"


def test_no_minion_boots_without_knowing_its_master(scripts):
    with pytest.raises(InvalidInput, match="fingerprint of the master's key is not known"):
        user_data(environment(), Boot(master_finger="", scripts=scripts), environment("control"))
    with pytest.raises(InvalidInput, match="there are 0 masters"):
        user_data(environment(), Boot(master_finger="ab", scripts=scripts))


def test_user_data_longer_than_aws_takes_is_refused(scripts):
    (scripts / "minion.sh.j2").write_text("#" * 16385)
    with pytest.raises(InvalidInput, match="16385 bytes; AWS takes 16384"):
        user_data(environment(), Boot(master_finger="ab", scripts=scripts), environment("control"))


def test_no_boot_no_user_data(scripts):
    assert user_data(environment(**{"servers.db.boot": "none"}), Boot(master_finger="", scripts=scripts)) is None


@pytest.mark.parametrize("name", ["control", "prod"])
def test_the_real_scripts_fit(name):
    script = user_data(environment(name), Boot(master_finger="ab:cd"), environment("control"))
    assert script.startswith("#!/bin/sh\n")
