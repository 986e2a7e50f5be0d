"""QoS policies limit and mark what servers send and get: real frames, at the taps of servers that are off."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from lab import frames
from lab.support import ACTIVE_SECONDS, Lab, Made, eventually, look_at
from lab.test_port_security import IN_FORCE_SECONDS, Station, settled

BITS, RATE, BURST = 10_000, 400, 100  # of a frame; kbit/s; kbit
SECONDS, STEP = 2, 0.05
TOLERANCE = 0.2
MARK = b"<qos>"


@pytest.fixture(scope="module")
def stations(made_for_all: Made, lab: Lab, cloud: Connection, blank: str) -> tuple[Station, Station]:
    """Two servers on two hosts that are off: their taps stay on the switch."""
    made = made_for_all
    network = made.network("10.84.0.0/24")
    cloud.network.create_subnet(network_id=network.id, ip_version=6, cidr="fd84::/64", enable_dhcp=False)
    servers = [made.server([network], host, image_id=blank) for host in ("host1", "host2")]
    made.active(*servers)
    for server in servers:
        cloud.compute.stop_server(server.id)
    first, second = (Station(cloud, lab, made.status(server, "SHUTOFF")) for server in servers)
    return first, second


@pytest.fixture
def policy(cloud: Connection, stations: tuple[Station, Station]) -> Iterator[Any]:
    """A policy of the first server's port."""
    policy = cloud.network.create_qos_policy(name="lab")
    cloud.network.update_port(stations[0].port.id, qos_policy_id=policy.id)
    yield policy
    cloud.network.update_port(stations[0].port.id, qos_policy_id=None)
    settled(cloud, stations[0].server)
    cloud.network.delete_qos_policy(policy)


def frame(sender: Station, receiver: Station, bits: int = BITS) -> bytes:
    start = frames.udp(sender.mac, sender.ipv4, receiver.ipv4)
    return start + b"x" * (bits // 8 - len(start) - len(MARK)) + MARK


def passed(sender: Station, receiver: Station, each: bytes, per_second: int) -> tuple[int, int, float]:
    """Send equal frames for some seconds: how many were sent, how many arrived, and how many seconds it took."""
    with receiver.start("receive", "<never>", str(SECONDS + 8)) as listening:
        assert listening.stdout and listening.stdout.readline() == "ready\n"
        with sender.start("send") as sending:
            assert sending.stdin
            batch, began, sent = int(per_second * STEP), time.monotonic(), 0
            while time.monotonic() - began < SECONDS:
                sending.stdin.write(f"{each.hex()}\n" * batch)
                sending.stdin.flush()
                sent += batch
                time.sleep(max(0.0, began + sent / per_second - time.monotonic()))
            took = time.monotonic() - began
            sending.stdin.close()
        received, _ = listening.communicate(timeout=SECONDS + 30)
    return sent, sum(bytes.fromhex(line).endswith(MARK) for line in received.split()), took


def wait_for(one: Station, commands: str) -> None:
    """Wait until the commands succeed on the host."""
    eventually(lambda: one.host.run(commands, check=False), ACTIVE_SECONDS, commands)


def assert_limited(sender: Station, receiver: Station) -> None:
    """Wait until the limit arrives, of twice and a half as much."""
    seen = list[tuple[int, float]]()

    def limited() -> bool:
        _sent, arrived, took = passed(sender, receiver, frame(sender, receiver), 100)
        seen.append((arrived, took))
        return bool(arrived * BITS / 1000 == pytest.approx(BURST + RATE * took, rel=TOLERANCE))

    eventually(limited, IN_FORCE_SECONDS, f"the limit arrives, not (frames, seconds) {seen}")


def assert_unlimited(sender: Station, receiver: Station) -> None:
    sent, arrived, _took = passed(sender, receiver, frame(sender, receiver), 100)
    assert arrived >= 0.98 * sent


def limit(cloud: Connection, policy: Any, direction: str) -> None:
    cloud.network.create_qos_bandwidth_limit_rule(policy, max_kbps=RATE, max_burst_kbps=BURST, direction=direction)


# Prints nothing unless the bridge has so many meters.
METERS = "ovs-ofctl -O OpenFlow13 dump-meters br-sec | grep -c rate= | grep -x {}"


def test_bandwidth_is_limited_in_each_direction(
    stations: tuple[Station, Station], cloud: Connection, policy: Any
) -> None:
    one, two = stations
    settled(cloud, one.server)
    assert_unlimited(one, two)
    limit(cloud, policy, "egress")
    settled(cloud, one.server)
    wait_for(one, METERS.format(1))
    assert_limited(one, two)
    assert_unlimited(two, one)
    limit(cloud, policy, "ingress")
    settled(cloud, one.server)
    wait_for(one, METERS.format(2))
    assert_limited(two, one)


def test_packets_are_limited(stations: tuple[Station, Station], cloud: Connection, policy: Any) -> None:
    one, two = stations
    cloud.network.create_qos_packet_rate_limit_rule(policy, max_kpps=1, max_burst_kpps=1)
    settled(cloud, one.server)
    wait_for(one, METERS.format(1))

    def limited() -> bool:
        _sent, arrived, took = passed(one, two, frame(one, two, 800), 2500)
        return bool(arrived == pytest.approx(1000 + 1000 * took, rel=TOLERANCE))

    eventually(limited, IN_FORCE_SECONDS, "a thousand packets a second arrive, and the burst")


def test_packets_are_marked(stations: tuple[Station, Station], cloud: Connection, policy: Any) -> None:
    one, two = stations
    cloud.network.create_qos_dscp_marking_rule(policy, dscp_mark=26)
    settled(cloud, one.server)
    wait_for(one, "ovs-ofctl -O OpenFlow13 dump-flows br-sec | grep ip_dscp")

    def marks(sender: Station, receiver: Station) -> set[int]:
        sent = [frames.udp(sender.mac, sender.ipv4, receiver.ipv4), frames.udp(sender.mac, sender.ipv6, receiver.ipv6)]
        with receiver.start("receive", "<end>", "4") as listening:
            assert listening.stdout and listening.stdout.readline() == "ready\n"
            with sender.start("send") as sending:
                sending.communicate("".join(f"{(one + MARK).hex()}\n" for one in sent), timeout=10)
            received, _ = listening.communicate(timeout=20)
        found = [bytes.fromhex(line) for line in received.split()]
        fields = [int.from_bytes(each[14:16]) for each in found if each.endswith(MARK)]
        assert {field >> 12 for field in fields} == {4, 6}
        return {(field >> (2 if field >> 12 == 4 else 6)) & 0x3F for field in fields}

    assert marks(one, two) == {26}
    assert marks(two, one) == {0}


@pytest.mark.alone
def test_limits_are_restored_and_repaired(
    stations: tuple[Station, Station], made_for_all: Made, cloud: Connection, policy: Any
) -> None:
    one, two = stations
    limit(cloud, policy, "egress")
    settled(cloud, one.server)
    one.host.run("systemctl restart ovs-vswitchd")
    ended = "systemctl show -P ActiveState {0} | grep -qx inactive && systemctl show -P Result {0}"
    for unit in ("skywright-port-security.service", "skywright-qos.service"):
        done = ended.format(unit)
        eventually(lambda done=done: one.host.run(done, check=False) == "success", ACTIVE_SECONDS, f"{unit} ends")
    assert_limited(one, two)
    # Drift compares the ports of servers that should run.
    cloud.compute.start_server(one.server.id)
    made_for_all.active(one.server)
    one.host.run("ovs-ofctl -O OpenFlow13 del-meters br-sec")
    look_at(cloud, one.host)
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    [found] = cloud.session.post(f"{api}/drift", json={}).json()["resources"]
    assert found["id"] == one.server.id
    assert [each["text"] for each in found["differences"]] == [f"the QoS of port {one.port.id} differs"]
    cloud.session.post(f"{api}/converge", json={})
    settled(cloud, one.server)
    wait_for(one, METERS.format(1))
