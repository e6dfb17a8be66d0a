"""A data folder of PostgreSQL whose WAL lies elsewhere is said early, and refused before anything is fetched."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

CHECKOUT = Path(__file__).resolve().parents[4]
SAID = "is a link to {wal}, which would not be exchanged with {data}, and its WAL would stay"


@pytest.fixture
def siblings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(CHECKOUT / "_modules"))
    before = set(sys.modules)
    parts = ("chains", "places", "postgresql", "restores")
    yield SimpleNamespace(**{part: importlib.import_module(f"_saltlick_backup_{part}") for part in parts})
    for name in set(sys.modules) - before:
        if name.startswith("_saltlick_"):
            del sys.modules[name]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "wal").mkdir()
    folder = tmp_path / "main"
    folder.mkdir()
    (folder / "pg_wal").symlink_to(tmp_path / "wal")
    return folder


class NothingFetched:
    """A store of which nothing may be read yet."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of the store was asked for")


@pytest.mark.parametrize("swap", [False, True])
def test_a_restore_and_a_drill_are_refused_before_anything_is_fetched(
    siblings: Any, data: Path, tmp_path: Path, swap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"data_dir": str(data), "members": {}}))
    monkeypatch.setattr(siblings.postgresql, "FACTS", facts)
    order = siblings.chains.Order(NothingFetched(), "database", ("20260101T000000Z-full",), "", (), (), swap, 60)
    with pytest.raises(CommandExecutionError, match=SAID.format(wal=tmp_path / "wal", data=data)):
        siblings.restores.postgresql(order, tmp_path / "work")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", "main", "wal"]


def test_a_backup_warns(siblings: Any, data: Path, tmp_path: Path) -> None:
    (warning,) = siblings.places.warnings(data, looked=siblings.places.cluster)
    assert warning.startswith(f"this could not be restored here: {data}/pg_wal is a link to {tmp_path}/wal")


def test_wal_in_the_data_folder_is_as_it_should_be(siblings: Any, data: Path) -> None:
    (data / "pg_wal").unlink()
    (data / "pg_wal").mkdir()
    assert siblings.places.warnings(data, looked=siblings.places.cluster) == []
