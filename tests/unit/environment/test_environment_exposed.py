"""What a production environment is refused with, and what opens that for a sandbox."""

from __future__ import annotations

from typing import Any

import pytest
from support.pillar_cases import changed, pillar

from saltlick.environment.pillar import parse_environment
from saltlick.environment.pillar.exposed import exposed, exposed_master

SHA = "5f" * 20


def environment(name: str = "prod", **change: Any) -> Any:
    return parse_environment(changed(pillar(name), {"insecure": False, **change}), environment=name)


BAD = {
    "a password": ({"app": {"environment": {"PGPASSWORD": "example-app-prod"}}}, "app.environment.PGPASSWORD"),
    "a password in a list": ({"users": [{"password": "example-x"}]}, "users[0].password"),
    "code over plain HTTP": ({"app": {"repository": "http://git/app.git", "revision": SHA}}, "app.repository"),
    "code over git's own protocol": ({"app": {"repository": "git://git/app.git", "revision": SHA}}, "app.repository"),
    "in capitals": ({"app": {"repository": "HTTP://git/app.git", "revision": SHA}}, "app.repository"),
    "packages over plain HTTP": ({"pip": {"index": "http://mirror/simple"}}, "pip.index"),
    "sources in a list": ({"x": {"sources": ["https://a/", "http://b/"]}}, "x.sources[1]"),
    "a name that only begins as this machine": ({"x": {"source": "http://localhost.evil/"}}, "x.source"),
    "pip's spelling": ({"x": {"package": "git+http://git/app.git"}}, "x.package"),
    "blanks before it": ({"x": {"anything": " http://mirror/"}}, "x.anything"),
    "a name before another host": ({"x": {"source": "http://127.0.0.1@evil/"}}, "x.source"),
    "an example in capitals": ({"a": {"password": "EXAMPLE-x"}}, "a.password"),
    "what everybody tries first": ({"db": {"password": "changeme"}}, "db.password"),
    "one among passwords": ({"passwords": {"app": "Secret"}}, "passwords.app"),
    "a token": ({"api_token": "test"}, "api_token"),
    "a branch": ({"app": {"repository": "https://git/app.git", "revision": "main"}}, "app.revision"),
    "no revision": ({"app": {"repository": "https://git/app.git"}}, "app.revision"),
    "a short SHA": ({"app": {"repository": "https://git/app.git", "revision": SHA[:12]}}, "app.revision"),
}


@pytest.mark.parametrize(("given", "path"), BAD.values(), ids=BAD)
def test_production_is_refused_with_the_path_and_what_to_do(given: dict[str, Any], path: str) -> None:
    (problem,) = exposed(environment(), given)
    assert problem.path == path
    assert "environment.insecure" in problem.message
    assert "example-" not in problem.message.replace("example that", ""), "no value in a message"
    assert exposed(environment(insecure=True), given) == ()
    assert exposed(environment(production=False), given) == ()


def test_what_is_closed_passes() -> None:
    good = {
        "app": {"repository": "https://git/app.git", "revision": SHA, "environment": {"PGPASSWORD": "q8"}},
        "check": {"http": "http://127.0.0.1:9001/health", "url": "http://127.0.0.1/x", "source": "salt://x"},
    }
    assert exposed(environment(), good) == ()


def test_a_master_is_not_booted_from_plain_http() -> None:
    plain = environment("control", **{"salt.repository": "http://git/saltlick.git"})
    assert [problem.path for problem in exposed_master(plain)] == ["environment.salt.repository"]
    assert exposed_master(plain, "https://git/saltlick.git") == ()
    assert exposed_master(environment("control", **{"salt.repository": "https://x/y.git"}), "http://git/x") != ()
    assert exposed_master(environment("control", **{"salt.repository": "https://x/y.git"})) == ()
    assert exposed_master(environment()) == (), "it boots no master"


@pytest.mark.parametrize("value", ["x'; id >/tmp/owned; '", "$(id)", "a b", "`id`", "x\ny", 'x"y', "-x"])
@pytest.mark.parametrize("key", ["repository", "revision", "master"])
def test_what_goes_into_user_data_has_a_form(key: str, value: str) -> None:
    from saltlick.errors import InvalidInput

    with pytest.raises(InvalidInput, match=rf"salt\.{key}"):
        environment("control", **{f"salt.{key}": value})
