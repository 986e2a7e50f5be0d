"""Enrolling the hosts of a plan before it is deployed."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_overcloud_plan import GOOD

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.hosts.enrol import Findings, KnownHosts, Target
from skywright.cli.jobs.show import Api
from skywright.cli.overcloud import overclouds
from skywright.cli.overcloud.overclouds import Enrolment, deploy
from skywright.services.operations.overcloud.plan import Plan, read


class Hosts:
    """Fake hosts: records the enrolled ones with their fingerprints; `problems` and `silent` are the results."""

    def __init__(self) -> None:
        self.met: dict[str, str | None] = {}
        self.problems: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        self.registered: list[str] = []

    def look(self, target: Target, _known: KnownHosts, _nic: str, fingerprint: str | None, ask: Any) -> Findings:
        self.met[target.address] = fingerprint
        assert target.user == "root" and ask("a key")
        if target.address in self.silent:
            raise StepFailed(f"{target.entry} cannot be reached", "Is it on?")
        return Findings({}, self.problems.get(target.address, []))

    def request(self, method: str, path: str, **_options: Any) -> Any:
        if path == "/hosts":
            return {"hosts": [{"variables": {"ansible_host": address}} for address in self.registered]}
        assert (method, path) == ("PUT", "/overclouds/ha")
        raise StepFailed("deployed", "")


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    hosts = Hosts()
    monkeypatch.setattr(overclouds, "look", hosts.look)
    monkeypatch.setattr(Api, "__init__", lambda _self: None)
    monkeypatch.setattr(Api, "request", lambda _self, *words, **options: hosts.request(*words, **options))
    return hosts


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("SKYWRIGHT_STATE_DIR", str(tmp_path))
    (tmp_path / "key").touch()
    return read({**GOOD, "key": str(tmp_path / "key")})


def run(plan: Plan, *fingerprints: str) -> str:
    """Return the error of the command; a refusal by the API shows that it was called."""
    with pytest.raises(StepFailed) as failure:
        deploy(Console(file=io.StringIO()), plan, Enrolment(lambda _text: True, fingerprints))
    return failure.value.what


def test_new_hosts_are_enrolled_with_their_fingerprints(hosts: Hosts, plan: Plan) -> None:
    assert run(plan, "c1=SHA256:abc=") == "deployed"
    assert hosts.met == {**dict.fromkeys(host.address for host in plan.hosts.values()), "10.0.0.11": "SHA256:abc="}


def test_known_hosts_are_not_enrolled_again(hosts: Hosts, plan: Plan, tmp_path: Path) -> None:
    hosts.registered = [host.address for host in plan.hosts.values()]
    (tmp_path / "known_hosts").write_text("".join(f"{address} key\n" for address in hosts.registered[1:]))
    assert run(plan) == "deployed"
    assert list(hosts.met) == [hosts.registered[0]]


def test_problems_of_all_hosts_are_reported_at_once(hosts: Hosts, plan: Plan) -> None:
    hosts.problems = {"10.0.0.11": ["it runs plan9", "no disk"]}
    hosts.silent = {"10.0.0.12", "10.0.0.22"}
    assert run(plan).splitlines() == [
        "These hosts cannot be used:",
        "  - c1: it runs plan9",
        "  - c1: no disk",
        "  - c2: 10.0.0.12 cannot be reached (Is it on?)",
        "  - n2: 10.0.0.22 cannot be reached (Is it on?)",
    ]
