"""Results of check mode, described as differences of resources."""

from typing import Any

import pytest

from recorded_hosts import facts
from skywright.jobs.drift.comparison import Drift
from skywright.jobs.drift.findings import findings
from skywright.jobs.drift.model import DRIFTED, LOST, UNKNOWN, Desired, Finding, Findings, Resource, Scope
from skywright.jobs.engine.results import Results
from skywright.services.compute.kinds.server import ServerKind
from skywright.services.image.kinds.image import ImageKind
from skywright.services.network.kinds.network import NetworkKind
from skywright.services.network.kinds.network_drift import names

SERVER, NETWORK, IMAGE, PORT = "server", "network", "image", "0a0b0c0d-0000-4000-8000-000000000001"
TAP, INSIDE, OUTSIDE = names(PORT)
KINDS = (ServerKind(), NetworkKind(), ImageKind())


def wanted() -> Desired:
    desired = Desired(owners=dict.fromkeys((PORT, *names(PORT)), ("server", SERVER)))
    for kind, name in (("networks", NETWORK), ("images", IMAGE), ("servers", SERVER)):
        desired.add("h", kind, {"id": name})
    return desired


def findings_of(module: str, identifier: str, reason: str | None = None, **result: Any) -> Findings:
    """Return the findings of one answer; all other answers have no difference."""
    results = Results()
    results.rc = 0
    for name in (NETWORK, IMAGE, SERVER):
        entry = {"id": name, "changed": False}
        if name == identifier:
            entry = {"id": name, "changed": "error" not in result, "action": "update", **result}
        data = {"host": "h", "task_action": f"skywright.cloud.{module}", "res": {"results": [entry]}}
        results.add({"event": "runner_on_ok", "event_data": data})
    results.add({"event": "playbook_on_stats"})
    said = {
        "h": facts(domains=[{"id": SERVER, "power": "shutoff", "reason": reason}]),
        "another": facts(domains=[{"id": SERVER, "power": "shutoff", "reason": "shutdown"}]),
    }
    return findings(KINDS, wanted(), results, said)


def texts(found: Findings) -> list[tuple[str, str]]:
    return [(finding.key[1], finding.text) for finding in found.found]


PORT_AS_IT_SHALL_BE = {"tag": 1, "stale": False, "protected": False}
SWITCH = [
    ({}, {"ports": {TAP: PORT_AS_IT_SHALL_BE}}, SERVER, f"port {TAP} is missing on the switch"),
    ({"ports": {"vx1": {**PORT_AS_IT_SHALL_BE, "tag": 9}}}, {"ports": {"vx1": PORT_AS_IT_SHALL_BE}}, NETWORK,
     "tunnel vx1 differs: tag"),
    ({"ports": {"dh1": {**PORT_AS_IT_SHALL_BE, "stale": True}}}, {"ports": {"dh1": PORT_AS_IT_SHALL_BE}}, NETWORK,
     "the device of DHCP port dh1 is missing"),
    ({"ports": {TAP: PORT_AS_IT_SHALL_BE}, "taps": {TAP: None}},
     {"ports": {TAP: PORT_AS_IT_SHALL_BE}, "taps": {TAP: 1450}}, SERVER, f"the device of port {TAP} is missing"),
    ({"ports": {TAP: PORT_AS_IT_SHALL_BE}, "taps": {TAP: 9000}},
     {"ports": {TAP: PORT_AS_IT_SHALL_BE}, "taps": {TAP: 1450}}, SERVER, f"port {TAP} differs: mtu"),
    ({}, {"ports": {INSIDE: PORT_AS_IT_SHALL_BE}}, SERVER, f"patch {INSIDE} is missing on the switch"),
    ({"ports": {OUTSIDE: {**PORT_AS_IT_SHALL_BE, "tag": 9}}}, {"ports": {OUTSIDE: PORT_AS_IT_SHALL_BE}}, SERVER,
     f"patch {OUTSIDE} differs: tag"),
    ({"ports": {"dh1": PORT_AS_IT_SHALL_BE}}, {"ports": {}}, NETWORK, "DHCP port dh1 is there, but should not be"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "whose", "text"), SWITCH)
def test_the_switch(before: Any, after: Any, whose: str, text: str) -> None:
    found = findings_of("ovs_network", NETWORK, diff={"before": before, "after": after})
    assert texts(found) == [(whose, text)]
    assert found.found[0].carrier == (("network", NETWORK) if whose == SERVER else None)


def dhcp(**changes: Any) -> dict[str, Any]:
    right = {"files": {"inside": "a"}, "options": "b", "unit": True, "enabled": True, "running": True, "told": True}
    return {
        **right,
        "tags": True,
        "hosts": {PORT: "line"},
        "port_options": {PORT: "tags"},
        "names": {PORT: "web"},
        **changes,
    }


DHCP = [
    (dhcp(hosts={PORT: "other"}), [(SERVER, "its DHCP entry differs")]),
    (dhcp(hosts={}), [(SERVER, "its DHCP entry is missing")]),
    (dhcp(hosts={PORT: "line", "": "x"}), [(NETWORK, "it has DHCP entries without a port")]),
    (dhcp(port_options={}), [(SERVER, "its DHCP options differ")]),
    (dhcp(port_options={PORT: "tags", "": "x"}), [(NETWORK, "its DHCP options differ")]),
    (dhcp(names={PORT: "other"}), [(SERVER, "its names in DNS differ")]),
    (dhcp(tags=False), [(NETWORK, "the file with the tags of MAC addresses differs")]),
    (dhcp(files={"inside": None}), [(NETWORK, "the DHCP server's file inside differs")]),
    (
        dhcp(running=False, options=""),
        [(NETWORK, "the DHCP options differ"), (NETWORK, "its DHCP server does not run")],
    ),
    (
        {},
        [
            (NETWORK, "its DHCP server is missing"),
            (SERVER, "its DHCP entry is missing"),
            (SERVER, "its DHCP options differ"),
            (SERVER, "its names in DNS differ"),
        ],
    ),
]


@pytest.mark.parametrize(("before", "expected"), DHCP)
def test_dhcp(before: Any, expected: Any) -> None:
    assert texts(findings_of("dhcp_network", NETWORK, diff={"before": before, "after": dhcp()})) == expected


FLOWS = {"flows": ["table=60,ip"], "saved": True}
SECURITY = [
    ({}, {PORT: FLOWS}, "is missing"),
    ({PORT: FLOWS | {"saved": False}}, {PORT: FLOWS}, "differs"),
    ({PORT: FLOWS}, {}, "is there, but should not be"),
]


@pytest.mark.parametrize(("before", "after", "state"), SECURITY)
def test_port_security(before: Any, after: Any, state: str) -> None:
    other = {"another": FLOWS}
    diff = {side: {"ports": ports | other} for side, ports in (("before", before), ("after", after))}
    found = findings_of("ovs_port_security", NETWORK, diff=diff)
    assert texts(found) == [(SERVER, f"the port security of port {PORT} {state}")]
    assert found.found[0].carrier == ("network", NETWORK)
    assert found.found[0].diff == {"before": before.get(PORT), "after": after.get(PORT)}


def test_shared_flows_of_port_security() -> None:
    whole = {"ports": {PORT: FLOWS}, "shared": FLOWS}
    found = findings_of("ovs_port_security", NETWORK, diff={"before": whole | {"shared": {}}, "after": whole})
    assert texts(found) == [], "a network without ports with port security has none"
    wiped = whole | {"shared": FLOWS | {"flows": []}}
    found = findings_of("ovs_port_security", NETWORK, diff={"before": wiped, "after": whole})
    assert texts(found) == [(NETWORK, "the flows that all ports with port security share differ")]


def test_port_security_of_the_only_port_of_a_network() -> None:
    there = {"ports": {PORT: FLOWS}}
    for before, after, state in ((None, there, "is missing"), (there, None, "is there, but should not be")):
        found = findings_of("ovs_port_security", NETWORK, diff={"before": before, "after": after})
        assert texts(found) == [(SERVER, f"the port security of port {PORT} {state}")]


def test_a_superfluous_dhcp_server() -> None:
    found = findings_of("dhcp_network", NETWORK, diff={"before": dhcp(), "after": {}})
    assert texts(found) == [(NETWORK, "a DHCP server is there, but should not be")]


def domain(**changes: Any) -> dict[str, Any]:
    return {"power": "running", "persistent": True, "definition": {"memory": 1, "vcpus": 1}, "boot_id": "b", **changes}


DOMAIN = [
    ({}, None, ["its domain is not defined"]),
    (domain(persistent=False), None, ["its domain is not persistent: it would be lost at the next shutdown"]),
    (domain(power="paused"), None, ["it is paused"]),
    (domain(power="shutoff"), "crashed", ["it does not run: its QEMU crashed or was killed"]),
    (domain(power="shutoff"), "destroyed", ["it does not run: its domain was destroyed"]),
    (domain(power="shutoff"), "unknown", ["it does not run"]),
    (domain(power="shutoff"), "shutdown", []),
    (domain(power="shutoff", boot_id="c"), "shutdown", ["a requested reboot was not done"]),
    (domain(definition={"memory": 2, "vcpus": 1}), None, ["its definition differs: memory"]),
]


@pytest.mark.parametrize(("before", "reason", "expected"), DOMAIN)
def test_domains(before: Any, reason: str | None, expected: list[str]) -> None:
    found = findings_of("libvirt_domain", SERVER, reason, diff={"before": before, "after": domain()})
    assert [text for _, text in texts(found)] == expected
    assert found.accepted == ({("server", SERVER)} if reason == "shutdown" else set())


def test_a_stopped_server_that_runs() -> None:
    found = findings_of("libvirt_domain", SERVER, diff={"before": domain(), "after": domain(power="shutoff")})
    assert texts(found) == [(SERVER, "it runs, but should not")]


def test_disks_and_images() -> None:
    before, after = {"disk_bytes": 1, "config_drive": "a", "image_id": None}, {"disk_bytes": 2, "config_drive": None}
    found = findings_of("server_disk", SERVER, diff={"before": before, "after": {**after, "image_id": "i"}})
    assert [text for _, text in texts(found)] == [
        "its disk differs",
        "its config drive should not be there",
        "its record of its image is missing",
    ]
    assert texts(findings_of("server_disk", IMAGE, diff={})) == [(IMAGE, "it is not in the host's cache")]
    lost = findings_of("server_disk", IMAGE, error="the image is not in the cache and has no url").found
    assert [finding.state for finding in lost] == [LOST]
    assert [finding.state for finding in findings_of("server_disk", SERVER, error="x", status="lost").found] == [LOST]
    assert [finding.state for finding in findings_of("server_disk", SERVER, error="x").found] == [UNKNOWN]


def test_a_silent_host_is_named() -> None:
    results = Results()
    results.rc = 4
    results.add({"event": "runner_on_unreachable", "event_data": {"host": "h", "res": {"msg": "no route"}}})
    results.add({"event": "playbook_on_stats"})
    found = findings(KINDS, wanted(), results, {})
    assert found.found == [] and "no route" in found.silent["h"]


@pytest.mark.parametrize(
    ("states", "silent", "expected"),
    [
        ([], {}, "clean"),
        ([DRIFTED], {}, "drift"),
        ([LOST], {}, "drift"),
        ([UNKNOWN], {}, "incomplete"),
        ([], {"h": "gone"}, "incomplete"),
        ([DRIFTED, UNKNOWN], {"h": "gone"}, "drift"),
    ],
)
def test_the_state_of_all(states: list[str], silent: dict[str, str], expected: str) -> None:
    found = [Finding(("server", "s"), "h", "m", "t", state=state) for state in states]
    resources = {("server", "s"): Resource("s", "p")}
    assert Drift(Scope(), Desired(), found, not_checked=silent, resources=resources).state == expected
