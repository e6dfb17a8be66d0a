"""Reads an environment's pillar from its folder without Salt, for `saltlick bootstrap`, which runs before Salt exists.

Plain Jinja and YAML, looked for as the master's `pillar_roots` would have it: the environment's own folder, then `common`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

from saltlick.environment.pillar import Environment, parse_environment
from saltlick.errors import InvalidInput, Problem


def environments(pillar: Path) -> tuple[str, ...]:
    """The environments that a pillar folder holds, by name."""
    return tuple(sorted(path.parent.name for path in pillar.glob("*/environment.sls") if path.parent.name != "common"))


def read_environment(pillar: Path, name: str) -> Environment:
    """The environment that `<pillar>/<name>/environment.sls` declares.

    Raises: InvalidInput when there is no such file, it does not render, or it is not sound.
    """
    return parse_environment(_render(pillar, name), environment=name)


def _render(pillar: Path, name: str) -> dict[str, Any]:
    places = [pillar / name, pillar / "common"]
    templates = jinja2.Environment(  # noqa: S701 - YAML, not HTML
        loader=jinja2.FileSystemLoader(places), undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"]
    )
    given = {"opts": {"id": f"{name}_master", "pillarenv": name}, "saltenv": name, "pillarenv": name}
    try:
        rendered = yaml.safe_load(templates.get_template("environment.sls").render(**given))
    except jinja2.TemplateNotFound as error:
        hint = (
            f"no {error} for {name} in {pillar}; there are: {', '.join(environments(pillar)) or 'none'} (--pillar DIR)"
        )
        raise InvalidInput([hint], what="pillar") from error
    except (jinja2.TemplateError, yaml.YAMLError) as error:
        raise InvalidInput([Problem(str(pillar / name / "environment.sls"), str(error))], what="pillar") from error
    if not isinstance(rendered, dict):
        raise InvalidInput([Problem(str(pillar / name / "environment.sls"), "holds no mapping")], what="pillar")
    return rendered
