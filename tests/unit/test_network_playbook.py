"""Items of networks on hosts."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from sqlalchemy import select
from sqlalchemy.orm import Session

from databases import make_tables
from skywright.auth.signatures import Signatures
from skywright.cloud import Cloud
from skywright.core import Outcome
from skywright.db import Database
from skywright.db.jobs import Host, Job
from skywright.jobs.runs.records import conceal
from skywright.services.network import ipam
from skywright.services.network.kinds.network import NetworkKind
from skywright.services.network.kinds.network_items import PortChange, network_items, recorded_dhcp_port
from skywright.services.network.tables import Network, NetworkHost, Port, Subnet

ROLE = yaml.safe_load((Path(__file__).parents[2] / "roles/network/meta/argument_specs.yml").read_text())
# The role's other options default to variables of the host.
OPTIONS = {"network_networks": ROLE["argument_specs"]["main"]["options"]["network_networks"]}
SETTINGS = SimpleNamespace(public_url="http://192.0.2.1:8000", key_dir=Path())
CLOUD = cast(Cloud, SimpleNamespace(queue=SimpleNamespace(notify=lambda: None), settings=SETTINGS))


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SETTINGS, "key_dir", tmp_path / "keys")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    make_tables(database)
    with database.write() as session:
        for number in (1, 2, 3):
            variables = {"vswitch_data_address": f"172.20.1.1{number}/24", "hypervisor_libvirt_uri": "qemu:///system"}
            groups = ["computes", "networks"] if number == 1 else ["computes"]
            session.add(Host(name=f"host{number}", groups=groups, variables=variables))
        session.add(Host(name="null1", groups=["computes"], variables={"hypervisor_libvirt_uri": "test:///default"}))
        yield session
    database.engine.dispose()


@pytest.fixture
def network(session: Session) -> Network:
    network = Network(project_id="p", segmentation_id=1001)
    session.add(network)
    session.flush()
    pools = [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    values = {"network_id": network.id, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "allocation_pools": pools}
    session.add(Subnet(project_id="p", **values))
    return network


def port_on(session: Session, network: Network, host: str, **values: Any) -> Port:
    return ipam.create_port(session, network, "p", host=host, device_owner="compute:nova", **values)


def items(session: Session, *changes: PortChange) -> dict[str, dict[str, Any]]:
    """Return the only item of each host."""
    work = network_items(session, CLOUD, changes)
    assert all(len(found) == 1 for found in work.items.values())
    return {host: found[0] for host, found in work.items.items()}


def test_the_first_port_adds_tap_tunnels_and_dhcp(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    work = network_items(session, CLOUD, [PortChange(port, "host2")])
    assert set(work.items) == {"host1", "host2"}
    (server,), (served,) = work.items["host2"], work.items["host1"]
    assert server["ports"] == [
        {
            "id": port.id,
            "mac": port.mac_address,
            "state": "present",
            "admin_state_up": True,
            "port_security_enabled": True,
            "addresses": ["10.0.0.2"],
            "allowed_address_pairs": [],
            "qos": None,
        }
    ]
    assert (server["peers"], server["dhcp"]) == (["172.20.1.11"], None)
    assert (server["type"], server["segmentation_id"], server["mtu"]) == ("vxlan", 1001, 1450)
    assert (served["peers"], served["ports"]) == (["172.20.1.12"], [])
    assert served["dhcp"]["subnets"][0]["address"] == "10.0.0.3"
    assert served["dhcp"]["hosts"] == [
        {
            "id": port.id,
            "mac": port.mac_address,
            "hostname": "host-10-0-0-2",
            "addresses": ["10.0.0.2"],
            "names": [
                {"address": "10.0.0.2", "names": ["host-10-0-0-2.skywright.internal", "host-10-0-0-2"]},
            ],
            "options": [],
            "state": "present",
        }
    ]
    assert work.depends == {port.id: {("host1", network.id), ("host2", network.id)}}


def test_the_dhcp_server_has_a_metadata_proxy(session: Session, network: Network) -> None:
    found = items(session, PortChange(port_on(session, network, "host2"), "host2"))
    assert found["host2"]["dhcp"] is None
    metadata = found["host1"]["dhcp"]["metadata"]
    assert metadata["api_url"] == "http://192.0.2.1:8000/compute/metadata"
    signatures = Signatures(SETTINGS.key_dir)
    assert signatures.signed_provider(network.id, metadata["signature"])
    assert not signatures.signed_provider(f"{network.id}0", metadata["signature"])
    assert metadata["signature"] not in str(conceal(found, b"key"))


def test_port_security(session: Session, network: Network) -> None:
    session.add(Subnet(project_id="p", network_id=network.id, cidr="fd00::/64", ip_version=6, enable_dhcp=False))
    fixed_ips = [{"ip_address": address} for address in ("fd00::9", "10.0.0.9", "10.0.0.10")]
    pairs = [
        {"mac_address": "FA-16-3E-00-00-AA", "ip_address": "10.0.0.9/24"},
        {"mac_address": "fa:16:3e:00:00:01", "ip_address": "FD00:0::1"},
        {"mac_address": "fa16.3e00.0002", "ip_address": "10.0.1.1"},
    ]
    port = port_on(session, network, "host2", fixed_ips=fixed_ips, allowed_address_pairs=pairs)
    (entry,) = items(session, PortChange(port, "host2"))["host2"]["ports"]
    assert (entry["port_security_enabled"], entry["addresses"]) == (True, ["10.0.0.10", "10.0.0.9", "fd00::9"])
    assert entry["allowed_address_pairs"] == [
        {"mac_address": "fa:16:3e:00:00:aa", "ip_address": "10.0.0.0/24"},
        {"mac_address": "fa:16:3e:00:00:01", "ip_address": "fd00::1"},
        {"mac_address": "fa:16:3e:00:00:02", "ip_address": "10.0.1.1"},
    ]
    validator = ArgumentSpecValidator(OPTIONS)
    found = items(session, PortChange(port, "host2"))
    for item in found.values():
        assert not validator.validate({"network_networks": [item]}).error_messages
    assert recorded_dhcp_port(session, network.id).port_security_enabled is False  # type: ignore[union-attr]
    (absent,) = items(session, PortChange(port, "host2", present=False))["host2"]["ports"]
    assert absent == {"id": port.id, "mac": port.mac_address, "state": "absent"}


@pytest.mark.parametrize("secure", [True, False])
def test_ports_have_the_port_security_of_their_network(session: Session, network: Network, secure: bool) -> None:
    network.port_security_enabled = secure
    assert port_on(session, network, "host2").port_security_enabled is secure
    assert port_on(session, network, "host2", port_security_enabled=not secure).port_security_enabled is not secure


@pytest.mark.parametrize("down", ["network", "port"])
def test_ports_and_networks_that_are_down(session: Session, network: Network, down: str) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    (network if down == "network" else port).admin_state_up = False
    found = items(session, PortChange(port, "host2"))
    assert [entry["admin_state_up"] for entry in found["host2"]["ports"]] == [False]
    assert found["host1"]["dhcp"]["state"] == ("absent" if down == "network" else "present")
    update = job(session, network, "update")
    assert NetworkKind().render(session, [update], CLOUD).depends[update.id] == {("host1", network.id)}
    NetworkKind().settle(session, update, Outcome(ok=True), CLOUD)
    assert (recorded_dhcp_port(session, network.id) is None) == (down == "network")


def test_a_dhcp_port_that_is_down(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    recorded_dhcp_port(session, network.id).admin_state_up = False  # type: ignore[union-attr]
    assert items(session, PortChange(port, "host2"))["host1"]["dhcp"]["state"] == "absent"


def test_a_port_on_a_known_host_changes_no_other_host(session: Session, network: Network) -> None:
    first = port_on(session, network, "host2")
    network_items(session, CLOUD, [PortChange(first, "host2")])
    ipam.ports_up(session, [first])
    items(session, PortChange(port_on(session, network, "host3"), "host3"))
    second = port_on(session, network, "host2")
    assert set(items(session, PortChange(second, "host2"))) == {"host1", "host2"}


def test_a_new_host_is_added_as_a_peer_on_all_hosts(session: Session, network: Network) -> None:
    first = port_on(session, network, "host2")
    network_items(session, CLOUD, [PortChange(first, "host2")])
    ipam.ports_up(session, [first])
    found = items(session, PortChange(port_on(session, network, "host3"), "host3"))
    assert found["host3"]["peers"] == ["172.20.1.11", "172.20.1.12"]
    assert found["host2"]["peers"] == ["172.20.1.13"]
    assert found["host2"]["ports"] == []
    assert found["host1"]["peers"] == ["172.20.1.12", "172.20.1.13"]


def test_a_host_whose_first_run_failed_is_added_as_a_peer_again(session: Session, network: Network) -> None:
    up = port_on(session, network, "host2")
    network_items(session, CLOUD, [PortChange(up, "host2")])
    ipam.ports_up(session, [up])
    network_items(session, CLOUD, [PortChange(port_on(session, network, "host3"), "host3")])
    again = items(session, PortChange(port_on(session, network, "host3"), "host3"))
    assert again["host2"]["peers"] == ["172.20.1.13"]


def test_ports_of_one_run_share_an_item(session: Session, network: Network) -> None:
    ports = [port_on(session, network, "host2") for _ in range(3)]
    found = items(session, *(PortChange(port, "host2") for port in ports))
    assert [entry["id"] for entry in found["host2"]["ports"]] == [port.id for port in ports]
    assert len(found["host1"]["dhcp"]["hosts"]) == 3


def test_a_removed_port_removes_its_tap_and_entry(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    found = items(session, PortChange(port, "host2", present=False))
    assert found["host2"]["state"] == "present"
    assert found["host2"]["ports"][0]["state"] == "absent"
    assert found["host1"]["dhcp"]["hosts"][0]["state"] == "absent"


def test_null_hosts_have_no_networks(session: Session, network: Network) -> None:
    port = port_on(session, network, "null1")
    work = network_items(session, CLOUD, [PortChange(port, "null1")])
    assert not work.items
    assert not work.depends


def test_without_dhcp_there_is_no_dhcp_server(session: Session, network: Network) -> None:
    ipam.subnets_of(session, network.id)[0].enable_dhcp = False
    found = items(session, PortChange(port_on(session, network, "host2"), "host2"))
    assert set(found) == {"host2"}
    assert found["host2"]["dhcp"] is None


def test_flat_networks_have_no_tunnels(session: Session, network: Network) -> None:
    network.type, network.physical_network, network.segmentation_id = "flat", "physnet1", 0
    found = items(session, PortChange(port_on(session, network, "host2"), "host2"))
    assert found["host2"]["peers"] == found["host1"]["peers"] == []
    assert (found["host2"]["physical_network"], found["host2"]["segmentation_id"]) == ("physnet1", None)


def job(session: Session, network: Network, action: str, **arguments: Any) -> Job:
    job = Job(playbook="network", action=action, arguments={"network_id": network.id, **arguments})
    session.add(job)
    session.flush()
    return job


def test_a_deleted_network_is_removed_from_all_its_hosts(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    deletion = job(session, network, "delete", dhcp_host="host1")
    work = NetworkKind().render(session, [deletion], CLOUD)
    assert {host: kinds["networks"][0]["state"] for host, kinds in work.items.items()} == {
        "host1": "absent",
        "host2": "absent",
    }
    assert work.items["host1"]["networks"][0]["dhcp"] == {"state": "absent"}
    assert work.depends[deletion.id] == {("host1", network.id), ("host2", network.id)}


def test_the_row_is_deleted_when_the_hosts_are_clean(session: Session) -> None:
    network = Network(project_id="p", segmentation_id=7)
    session.add(network)
    session.flush()
    session.add(NetworkHost(network_id=network.id, host="host1"))
    deletion = job(session, network, "delete", dhcp_host="")
    NetworkKind().settle(session, deletion, Outcome(ok=False, error="unreachable"), CLOUD)
    assert session.get(Network, network.id) is not None
    again = session.scalars(select(Job).where(Job.id != deletion.id)).one()
    assert (again.action, again.arguments["attempt"]) == ("delete", 1)
    assert again.not_before is not None
    NetworkKind().settle(session, again, Outcome(ok=True), CLOUD)
    session.flush()
    assert session.get(Network, network.id) is None
    assert NetworkKind().render(session, [deletion], CLOUD).items == {}


def test_an_update_sends_all_entries_to_the_dhcp_server(session: Session, network: Network) -> None:
    ports = [port_on(session, network, host) for host in ("host2", "host3", "null1")]
    items(session, *(PortChange(port, port.host) for port in ports))
    work = NetworkKind().render(session, [job(session, network, "update")], CLOUD)
    dhcp = work.items["host1"]["networks"][0]["dhcp"]
    assert {entry["id"] for entry in dhcp["hosts"]} == {port.id for port in ports[:2]}


def test_turning_dhcp_off_removes_server_and_port(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    ipam.subnets_of(session, network.id)[0].enable_dhcp = False
    update = job(session, network, "update")
    work = NetworkKind().render(session, [update], CLOUD)
    assert work.items["host1"]["networks"][0]["dhcp"]["state"] == "absent"
    NetworkKind().settle(session, update, Outcome(ok=True), CLOUD)
    assert session.query(Port).filter_by(device_owner=ipam.DHCP_OWNER).count() == 0


def validated(work: Any) -> dict[str, dict[str, Any]]:
    """Return the only item of each host, validated against the role's options."""
    for kinds in work.items.values():
        result = ArgumentSpecValidator(OPTIONS).validate({"network_networks": kinds["networks"]})
        assert not result.error_messages and not result.unsupported_parameters
    return {host: kinds["networks"][0] for host, kinds in work.items.items()}


def test_converging_repairs_the_networks_own_parts(session: Session, network: Network) -> None:
    port = port_on(session, network, "host2")
    items(session, PortChange(port, "host2"))
    found = validated(NetworkKind().render(session, [job(session, network, "converge", hosts=["host1"])], CLOUD))
    assert set(found) == {"host1"}
    assert found["host1"]["peers"] == ["172.20.1.12"]
    assert found["host1"]["dhcp"]["subnets"] and found["host1"]["dhcp"]["hosts"] == []


def test_tidying_removes_only_items_without_a_record(session: Session, network: Network) -> None:
    here, elsewhere = port_on(session, network, "host2"), port_on(session, network, "host3")
    items(session, PortChange(here, "host2"), PortChange(elsewhere, "host3"))
    arguments = {"host": "host2", "ports": [here.id, elsewhere.id, "gone"], "peers": ["172.20.1.13", "192.0.2.1"]}
    tidy = job(session, network, "tidy", **arguments)
    work = NetworkKind().render(session, [tidy], CLOUD)
    found = validated(work)
    assert [(entry["id"], entry["state"]) for entry in found["host2"]["ports"]] == [
        (elsewhere.id, "absent"),
        ("gone", "absent"),
    ]
    assert found["host2"]["former_peers"] == ["192.0.2.1"], "the other one is a host's"
    assert found["host2"]["dhcp"] == {"state": "absent"}, "it is on host1"
    assert {(entry["id"], entry["state"]) for entry in found["host1"]["dhcp"]["hosts"]} >= {("gone", "absent")}
    assert work.depends[tidy.id] == {("host1", network.id), ("host2", network.id)}
    NetworkKind().settle(session, tidy, Outcome(ok=True), CLOUD)
    assert session.get(Network, network.id) is not None


def test_tidying_a_network_on_a_wrong_host(session: Session, network: Network) -> None:
    items(session, PortChange(port_on(session, network, "host2"), "host2"))
    unknown = Job(playbook="network", action="tidy", arguments={"network_id": "x", "host": "host3"})
    session.add(unknown)
    session.flush()
    arguments: dict[str, Any] = {"host": "host3", "ports": [], "peers": []}
    work = NetworkKind().render(session, [job(session, network, "tidy", **arguments), unknown], CLOUD)
    absent = [{"id": network.id, "state": "absent"}, {"id": "x", "state": "absent"}]
    assert {host: kinds["networks"] for host, kinds in work.items.items()} == {"host3": absent}
