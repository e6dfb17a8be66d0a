"""`saltlick custodian` installs the files that are in its list and no other, by the real pip from an index of its own."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from saltlick.errors import NotReady
from saltlick.offhours import custodian

WHEEL = "c7n-{version}-py3-none-any.whl"


def wheel(folder: Path, body: str) -> Path:
    """A Custodian of one file."""
    made, info = folder / WHEEL.format(version=custodian.VERSION), f"c7n-{custodian.VERSION}.dist-info"
    files = {
        "c7n_fake.py": f"def main():\n    print({body!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: c7n\nVersion: {custodian.VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ncustodian = c7n_fake:main\n",
    }
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return made


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of PyPI, for pip and uv alike, with one package."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_NO_CACHE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    wheel(folder, "honest")
    return folder


@pytest.fixture
def locked(tmp_path: Path, index: Path) -> Path:
    """A list of that one package, with its hash."""
    digest = hashlib.sha256((index / WHEEL.format(version=custodian.VERSION)).read_bytes()).hexdigest()
    path = tmp_path / "requirements.txt"
    path.write_text(f"c7n=={custodian.VERSION} --hash=sha256:{digest}\n")
    return path


def test_the_files_of_the_list_are_installed_and_again_is_no_change(locked: Path, tmp_path: Path) -> None:
    told: list[str] = []
    command = custodian.install(tmp_path / "custodian", told.append, locked=locked)
    assert command.is_file()
    custodian.install(tmp_path / "custodian", told.append, locked=locked)
    assert "is there" in told[-1]


def test_another_file_of_the_same_name_and_version_is_refused(index: Path, locked: Path, tmp_path: Path) -> None:
    wheel(index, "evil")
    with pytest.raises(NotReady, match=r"(?i)hash"):
        custodian.install(tmp_path / "custodian", locked=locked)
    assert not (tmp_path / "custodian/bin/custodian").exists()


def test_a_package_without_a_hash_is_refused(locked: Path, tmp_path: Path) -> None:
    locked.write_text(f"c7n=={custodian.VERSION}\n")
    with pytest.raises(NotReady, match=r"(?i)hash"):
        custodian.install(tmp_path / "custodian", locked=locked)


def test_the_list_names_one_version_and_the_hashes_of_every_package() -> None:
    text = re.sub(r"\\\n\s*", "", custodian.LOCKED.read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert f"c7n=={custodian.VERSION}" in text
    for line in lines:
        assert re.match(r"[a-z0-9-]+==\S+ ", line), line
        assert "--hash=sha256:" in line, line
