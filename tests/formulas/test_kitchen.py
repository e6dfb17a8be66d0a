"""kitchen.yml says what is tested: every formula has a suite, and every suite its tests."""

from __future__ import annotations

from pathlib import Path

from formulas.kitchen import ROOT, suites

HERE = Path(__file__).parent


def test_every_formula_has_a_suite():
    formulas = {path.parent.name for path in (ROOT / "salt").glob("*/init.sls")}
    assert formulas
    assert formulas <= suites().keys()


def test_every_suite_has_tests_and_every_folder_of_tests_a_suite():
    assert {path.parent.name for path in HERE.glob("*/test_*.py")} == suites().keys()


def test_what_kitchen_mounts_is_there():
    for suite in suites().values():
        assert suite.volumes
        assert all(source.is_dir() for source in suite.volumes)


def test_suites_differ_by_roles_that_the_top_file_knows():
    for name, suite in suites().items():
        assert suite.pillars["top.sls"] == {"base": {"*": ["suite"]}}, name
        assert all((ROOT / "salt" / role / "init.sls").is_file() for role in suite.pillar["roles"]), name
