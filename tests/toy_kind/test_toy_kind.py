"""A new kind of resource needs six places: tests add one to a copy of the project and run its lifecycle."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
COPIED = (
    "api",
    "plugins",
    "roles",
    "playbooks",
    ".collections",
    "tests",
    "ansible.cfg",
    "galaxy.yml",
    "meta",
    "pyproject.toml",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the service `notes`: its folder, migration, kind on hosts and role."""
    copy = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, copy / name)
    shutil.copytree(HERE / "overlay", copy, dirs_exist_ok=True, ignore=ignored)
    versions = copy / "api/skywright/db/migrations/versions"
    before = max(path.name for path in versions.glob("[0-9]*.py"))[:4]
    number = f"{int(before) + 1:04}"
    migration = (copy / "migration.py").read_text().replace("NUMBER", number).replace("BEFORE", before)
    (versions / f"{number}_make_room_for_notes.py").write_text(migration)
    _add(copy / "api/skywright/services/registry.py", 'SERVICES = ["', 'notes", "')
    kinds = copy / "plugins/module_utils/kinds/__init__.py"
    package = "ansible_collections.skywright.cloud.plugins.module_utils.kinds"
    _add(kinds, "from __future__ import annotations\n", f"\nfrom {package}.note_file import NoteFile\n")
    _add(kinds, "KINDS = (", "NoteFile, ")
    return copy


def _add(path: Path, behind: str, text: str) -> None:
    content = path.read_text()
    assert content.count(behind) == 1, f"{path.name} has no one list any more"
    path.write_text(content.replace(behind, behind + text))


@pytest.fixture(scope="module")
def seen(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of scenario.py."""
    state, notes = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("notes")
    environment = {**os.environ, "PYTHONPATH": str(project / "api")}
    command = [sys.executable, HERE / "scenario.py", state, notes]
    result = subprocess.run(command, cwd=project, env=environment, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_the_service_is_in_the_catalog(seen: dict[str, Any]) -> None:
    assert "notes" in seen["catalog"] and seen["without a token"] == 401


def test_a_note_is_planned(seen: dict[str, Any]) -> None:
    assert '"note_file"' in json.dumps(seen["plan"]) and "create" in json.dumps(seen["plan"])
    assert seen["after the plan"] == {}


def test_a_note_is_created(seen: dict[str, Any]) -> None:
    assert (seen["accepted"], seen["created"]) == (202, "ACTIVE")
    assert list(seen["on the host"].values()) == ["hello"]
    assert seen["clean"]["resources"] == seen["clean"]["leftovers"] == []


def test_drift_of_a_note_is_shown_and_repaired(seen: dict[str, Any]) -> None:
    assert seen["drift"]["resources"] == [["note", "its text differs"]]
    assert [kind for kind, _id in seen["drift"]["leftovers"]] == ["note"]
    assert seen["drift"]["state"] == "drift"
    assert seen["repaired"] == seen["on the host"]


def test_a_note_is_deleted(seen: dict[str, Any]) -> None:
    assert seen["deleting"] == 202 and seen["deleted"] == {}


@pytest.mark.parametrize("tests", ["test_imports.py", "kinds", "resources"])
def test_import_rules_and_contracts_of_kinds_hold_with_the_new_kind(project: Path, tests: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project / "api")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/{tests}"]
    only = [] if tests == "test_imports.py" else ["-k", "note"]
    result = subprocess.run(command + only, cwd=project, env=environment, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "passed" in result.stdout


def test_the_options_of_the_new_kind_are_documented(project: Path) -> None:
    command = [Path(sys.executable).with_name("ansible-doc"), "--json", "skywright.cloud.host_items"]
    result = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    options = json.loads(result.stdout)["skywright.cloud.host_items"]["doc"]["options"]
    assert options["items"]["suboptions"]["notes"]["suboptions"]["text"]["description"]
    assert options["notes_directory"]["type"] == "path"
