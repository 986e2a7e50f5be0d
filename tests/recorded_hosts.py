"""Answers of real hosts to the module `host_info`, for all tests that need an observed host.

`host1` and `host2` are hosts of the lab with a server each (QEMU 7.2.22); `without_libvirt` is a machine that has
neither libvirt nor Open vSwitch. Only the hosts' addresses were replaced by addresses for documentation (RFC 5737).
"""

import json
from pathlib import Path
from typing import Any

from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host

RECORDED = Path(__file__).parent / "recorded"


def answer(name: str = "host1", **changes: Any) -> dict[str, Any]:
    """Return the `host` of the module's answer, with *changes*."""
    recorded: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    assert changes.keys() <= recorded.keys(), "no host sends that"
    return recorded | changes


def facts(name: str = "host1", **changes: Any) -> HostFacts:
    return HostFacts.of_result(answer(name, **changes))


def observed(name: str, *, recorded: HostFacts | None = None, **columns: Any) -> Host:
    """Return an observed compute host without servers."""
    host = Host(name=name, **{"groups": ["computes"], "variables": {}} | columns)
    host.facts = recorded or facts(domains=[])
    return host
