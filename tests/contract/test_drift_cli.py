"""`skywright drift` and `skywright converge`: what they print, and their exit codes."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from contract.compute_helpers import Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import PASSWORD, Api
from contract.drift_helpers import FakeHosts
from skywright.cli import commands
from skywright.services.compute.tables import Server

Run = Callable[..., "Said"]


@pytest.fixture(scope="module")
def server(api: Api) -> str:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        fixtures = make_fixtures(api, admin, demo)
        identifier = Nova(demo, api.url)("POST", "/servers", fixtures.body("web[bold]")).json()["server"]["id"]
    run_jobs(api.cloud)
    return str(identifier)


@pytest.fixture
def hosts(api: Api, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    return hosts


@dataclass
class Said:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def skywright(
    api: Api, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Return a function that runs the command line, with a clouds.yaml with the clouds `admin` and `demo`."""
    auth = {"auth_url": f"{api.url}/identity/v3", "password": PASSWORD, "user_domain_name": "Default"}
    clouds = {
        name: {"auth": auth | {"username": name, "project_name": name, "project_domain_name": "Default"}}
        for name in ("admin", "demo")
    }
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, cloud: str = "admin") -> Said:
        monkeypatch.setenv("OS_CLOUD", cloud)
        monkeypatch.setattr(sys, "argv", ["skywright", *arguments])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def outcome(api: Api) -> Iterator[dict[str, str | None]]:
    """Run a worker; the entry `error` of the yielded dictionary makes its runs fail."""
    outcome: dict[str, str | None] = {"error": None}
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            run_jobs(api.cloud, error=outcome["error"])

    thread = threading.Thread(target=work)
    thread.start()
    yield outcome
    over.set()
    thread.join()


def kill(hosts: FakeHosts, server: str) -> None:
    hosts.domains["h1"] = [{"id": server, "power": "shutoff", "reason": "crashed"}]
    hosts.say("h1", "libvirt_domain", server, before={"power": "shutoff"}, after={"power": "running"})


def test_exit_codes_of_drift(hosts: FakeHosts, skywright: Run, server: str) -> None:
    found = skywright("drift")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.strip() == "No drift. Checked: 1 host, 1 server, 0 routers, 1 network, 1 image."
    hosts.silent = {"h1"}
    found = skywright("drift")
    assert found.returncode == 1 and "not checked: h1: " in found.stdout
    hosts.silent = set()
    kill(hosts, server)
    found = skywright("drift", "--diff")
    lines = [line.strip() for line in found.stdout.splitlines()]
    assert found.returncode == 2
    assert f"~ server web[bold] {server}" in lines
    assert "h1: it does not run: its QEMU crashed or was killed" in lines
    assert {"-power: shutoff", "+power: running"} <= set(lines)
    assert lines[-1] == "`skywright converge` repairs it."
    assert json.loads(skywright("drift", "--json", "--host", "h1").stdout)["state"] == "drift"
    assert skywright("drift", "--host", "nowhere").returncode == 1


def test_users_see_no_hosts(hosts: FakeHosts, skywright: Run, server: str) -> None:
    kill(hosts, server)
    found = skywright("drift", "--diff", cloud="demo")
    assert found.returncode == 2
    assert "it does not run" in found.stdout and "h1" not in found.stdout
    refused = skywright("drift", "--host", "h1", cloud="demo")
    assert refused.returncode == 1 and "Policy" in refused.stderr


def test_converge_follows_its_jobs(
    api: Api, hosts: FakeHosts, skywright: Run, server: str, outcome: dict[str, str | None]
) -> None:
    assert skywright("converge").returncode == 0
    kill(hosts, server)
    outcome["error"] = "h1: out of memory"
    failed = skywright("converge")
    assert failed.returncode == 1
    assert f"✗ server {server}: h1: out of memory" in failed.stdout
    outcome["error"] = None
    found = skywright("converge")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"✓ repaired server {server}" in found.stdout
    assert found.stdout.splitlines()[-1] == "1 of 1 repair done."
    said = json.loads(skywright("converge", "--json").stdout)
    assert said["repaired"] and [job["state"] for job in said["jobs"]] == ["successful"]
    with api.cloud.database.read() as session:
        assert session.get_one(Server, server).status == "ACTIVE"


def test_converge_reports_what_it_does_not_repair(
    hosts: FakeHosts, skywright: Run, server: str, outcome: dict[str, str | None]
) -> None:
    hosts.say("h1", "server_disk", server, error="its disk is lost", status="lost")
    found = skywright("converge")
    assert found.returncode == 1
    assert "NOT REPAIRABLE its disk is lost" in found.stdout
    assert found.stdout.splitlines()[-1] == "Nothing to repair. There is still drift."
    recreated = skywright("converge", "--recreate-disks")
    assert recreated.returncode == 0 and f"✓ repaired server {server}" in recreated.stdout


def test_leftovers_can_be_kept(hosts: FakeHosts, skywright: Run, outcome: dict[str, str | None]) -> None:
    left = "0a0b0c0d-0000-4000-8000-00000000000a"
    hosts.mark("h1", server_disk=[{"id": left, "disk": True, "image_id": None}])
    found = skywright("drift")
    assert found.returncode == 2
    assert f"- leftover server {left} (with data)" in found.stdout
    kept = skywright("converge", "--keep-leftovers")
    assert kept.returncode == 1 and "removed" not in kept.stdout
    gone = skywright("converge")
    assert gone.returncode == 0 and f"✓ removed server {left}" in gone.stdout
