"""Allocation of addresses and ports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from databases import make_tables
from skywright.db import Database
from skywright.errors import BadRequest, Conflict
from skywright.services.network import ipam
from skywright.services.network.tables import Network, NetworkQuota, Subnet


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    make_tables(database)
    with database.write() as session:
        yield session
    database.engine.dispose()


def make_network(session: Session, *cidrs: tuple[str, str, str]) -> Network:
    network = Network(project_id="p", segmentation_id=1001)
    session.add(network)
    session.flush()
    for cidr, start, end in cidrs:
        pools = [{"start": start, "end": end}]
        version = 6 if ":" in cidr else 4
        subnet = Subnet(project_id="p", network_id=network.id, cidr=cidr, ip_version=version, allocation_pools=pools)
        session.add(subnet)
        session.flush()
    return network


def addresses(port: ipam.Port) -> list[str]:
    return [address.ip_address for address in port.addresses]


def test_a_port_gets_one_address_of_each_version(session: Session) -> None:
    network = make_network(
        session,
        ("10.0.0.0/24", "10.0.0.2", "10.0.0.254"),
        ("10.0.1.0/24", "10.0.1.2", "10.0.1.254"),
        ("fd00::/64", "fd00::2", "fd00::ffff"),
    )
    port = ipam.create_port(session, network, "p")
    assert addresses(port) == ["10.0.0.2", "fd00::2"]
    assert port.mac_address.startswith("fa:16:3e:")


def test_a_network_without_subnets_has_no_addresses(session: Session) -> None:
    assert addresses(ipam.create_port(session, make_network(session), "p")) == []


def test_a_full_subnet_is_skipped_and_without_another_a_conflict(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/29", "10.0.0.2", "10.0.0.3"), ("10.0.1.0/29", "10.0.1.2", "10.0.1.2"))
    got = [addresses(ipam.create_port(session, network, "p"))[0] for _ in range(3)]
    assert got == ["10.0.0.2", "10.0.0.3", "10.0.1.2"]
    with pytest.raises(Conflict) as caught:
        ipam.create_port(session, network, "p")
    assert caught.value.kind == "IpAddressGenerationFailure"


def test_a_released_address_is_reused_last(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/29", "10.0.0.2", "10.0.0.4"))
    first = ipam.create_port(session, network, "p")
    ipam.delete_port(session, first)
    got = [addresses(ipam.create_port(session, network, "p"))[0] for _ in range(3)]
    assert got == ["10.0.0.3", "10.0.0.4", "10.0.0.2"]


def test_requested_addresses(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/24", "10.0.0.2", "10.0.0.254"))
    assert addresses(ipam.create_port(session, network, "p", fixed_ip="10.0.0.77")) == ["10.0.0.77"]
    with pytest.raises(Conflict) as taken:
        ipam.create_port(session, network, "p", fixed_ip="10.0.0.77")
    assert taken.value.kind == "IpAddressAlreadyAllocated"
    for wrong in ("10.0.0.0", "10.0.0.255", "10.0.1.5", "fd00::1"):
        with pytest.raises(BadRequest):
            ipam.create_port(session, network, "p", fixed_ip=wrong)


def test_allocation_skips_requested_addresses(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/24", "10.0.0.2", "10.0.0.254"))
    for last in range(2, 60):
        ipam.create_port(session, network, "p", fixed_ip=f"10.0.0.{last}")
    assert addresses(ipam.create_port(session, network, "p")) == ["10.0.0.60"]


def test_changing_addresses_keeps_unchanged_ones(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/24", "10.0.0.2", "10.0.0.254"))
    subnet = ipam.subnets_of(session, network.id)[0]
    port = ipam.create_port(session, network, "p")
    ipam.set_addresses(session, port, network, [{"subnet_id": subnet.id}, {"ip_address": "10.0.0.9"}])
    session.expire(port)
    assert addresses(port) == ["10.0.0.2", "10.0.0.9"]
    ipam.set_addresses(session, port, network, [])
    assert addresses(port) == []


def test_mac_addresses_are_unique_in_a_network(session: Session) -> None:
    network = make_network(session)
    ipam.create_port(session, network, "p", mac_address="fa:16:3e:00:00:01")
    with pytest.raises(Conflict) as caught:
        ipam.create_port(session, network, "p", mac_address="fa:16:3e:00:00:01")
    assert caught.value.kind == "MacAddressInUse"


def test_the_quota_counts_the_usage_of_the_project(session: Session) -> None:
    network = make_network(session)
    session.add(NetworkQuota(project_id="p", resource="port", limit=2))
    ipam.create_port(session, network, "p")
    ipam.check_quota(session, "p", "port")
    with pytest.raises(Conflict) as caught:
        ipam.check_quota(session, "p", "port", 2)
    assert caught.value.kind == "OverQuota"
    ipam.check_quota(session, "other", "port", 500)


def test_filling_a_subnet_takes_the_same_time_for_every_port(session: Session) -> None:
    network = make_network(session, ("10.0.0.0/20", "10.0.0.2", "10.0.15.254"))
    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *call: statements.append(call[2]))
    for _ in range(300):
        ipam.create_port(session, network, "p")
    assert len(statements) <= 8 * 300
