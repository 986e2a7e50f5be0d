"""The port of a service is only in its `Service`."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible import constants

from skywright.services import registry

SEARCHED = ("api", "docs", "inventories", "molecule", "playbooks", "plugins", "roles", "README.md", "Makefile")
TEXT = frozenset({".cfg", ".j2", ".md", ".py", ".toml", ".yaml", ".yml", ""})
SERVICES = {service.type: service for service in registry.services()}


def files() -> list[Path]:
    found = [path for name in SEARCHED for path in ([Path(name)] if Path(name).is_file() else Path(name).rglob("*"))]
    return [path for path in found if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts]


def test_no_other_file_has_the_port_of_a_service() -> None:
    ports = "|".join(str(service.port) for service in SERVICES.values() if service.port)
    # After a colon or the word `port`, or in a list of ports; 5000 may also be another number.
    named = re.compile(rf"(?i)(:|port\w*\W{{1,3}})({ports})\b|\b({ports}),? \d{{4}}\b|\b\d{{4}},? ({ports})\b")
    own = {Path(f"api/skywright/services/{name}/api.py") for name in registry.SERVICES}
    lines = [
        f"{path}:{number}: {line.strip()}"
        for path in files()
        if path not in own
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if named.search(line)
    ]
    assert lines == []


def test_the_ports_are_openstacks() -> None:
    wanted = {"identity": 5000, "compute": 8774, "image": 9292, "network": 9696}
    assert {kind: SERVICES[kind].port for kind in wanted} == wanted


def test_playbooks_get_the_ports_from_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, ".collections")
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    lookup = importlib.import_module("ansible_collections.skywright.cloud.plugins.lookup.services")
    rows = lookup.LookupModule().run([])
    assert {(row["type"], row["name"], row["path"], row["port"]) for row in rows} == {
        (service.type, service.name, service.prefix, service.port) for service in SERVICES.values()
    }
    monkeypatch.setattr(lookup, "COMMAND", ["false"])
    assert lookup.LookupModule().run([]) == rows  # of the first time
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "other"))
    with pytest.raises(lookup.AnsibleLookupError, match="false ended with 1"):
        lookup.LookupModule().run([])


def test_the_command_line_shows_the_services() -> None:
    command = [sys.executable, "-m", "skywright", "services"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "compute" in shown and "/compute" in shown
    assert json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout)
