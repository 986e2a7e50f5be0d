"""Day-two operations on a cloud in use: maintenance, replacing a controller, adding and removing a compute host."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from faults.hosts import OVERCLOUD, Host, Hosts, overcloud
from faults.load import Load
from faults.test_matrix import API_SECONDS, WRITER_SECONDS
from lab.support import ROOT, eventually

PLAN = ROOT / "var/ha/plan.yml"


def test_maintenance_of_a_controller(cloud: Connection, hosts: Hosts, server: dict[str, Any]) -> None:
    hosts.recover(60)
    host = hosts.holder()
    with Load(cloud, server) as load:
        began = time.monotonic()
        overcloud("maintenance", OVERCLOUD, host.name)
        resting = time.monotonic()
        assert hosts.holder() is not host
        assert hosts.writer() is not host
        host.run("systemctl stop skywright-api mariadb")  # the maintenance work
        time.sleep(API_SECONDS)
        host.run("systemctl start mariadb skywright-api")
        ending = time.monotonic()
        overcloud("maintenance", OVERCLOUD, host.name, "--end")
        hosts.recover(60)
        ended = time.monotonic()
    assert_nothing_lost(load)
    assert load.reads.gap(began, ended) <= API_SECONDS, load.reads.refusals[:3]
    for since, until in ((began, resting), (ending, ended)):
        assert load.writes.gap(since, until) <= API_SECONDS, load.writes.refusals[:3]
    # A commit must also reach the node that joins again meanwhile.
    assert load.writes.gap(resting, ending) <= WRITER_SECONDS, load.writes.refusals[:3]


def test_an_empty_host_replaces_a_dead_controller(cloud: Connection, hosts: Hosts, server: dict[str, Any]) -> None:
    hosts.recover(60)
    host = hosts.writer()
    with Load(cloud, server) as load:
        began = time.monotonic()
        host.remove()
        hosts.power_on()
        assert "inactive" in host.run("systemctl is-active mariadb", check=False)
        overcloud("deploy", "--accept-host-keys", PLAN)
        hosts.recover(10)
        ended = time.monotonic()
    assert_nothing_lost(load)
    assert load.reads.gap(began, ended) <= WRITER_SECONDS, load.reads.refusals[:3]
    assert load.writes.gap(began, ended) <= WRITER_SECONDS, load.writes.refusals[:3]
    overcloud("status", OVERCLOUD)


@pytest.fixture
def new_host(hosts: Hosts) -> Iterator[Host]:
    """An additional empty host; the cloud does not have it any more at the end."""
    number = sum(host.name.startswith("compute") for host in hosts.all) + 1
    hosts.power_on(SKYWRIGHT_HA_COMPUTES=str(number))
    found = next(host for host in Hosts().all if host.name == f"compute{number}")
    yield found
    overcloud("deploy", PLAN)
    found.remove()


def test_a_compute_host_is_added_and_removed(cloud: Connection, new_host: Host, server: dict[str, Any]) -> None:
    overcloud(
        "scale", OVERCLOUD, "--accept-host-keys", "--add", f"{new_host.name}={new_host.address},{new_host.data_address}"
    )
    assert new_host.name in {service.host for service in cloud.compute.services() if service.state == "up"}
    body = {"server": {**server["server"], "availability_zone": f"nova:{new_host.name}"}}
    made = cloud.compute.post("/servers", json=body).json()["server"]["id"]
    found = eventually(lambda: settled(cloud, made), 120, "the server is made")
    assert (found.status, found.compute_host) == ("ACTIVE", new_host.name), found.fault
    assert made in new_host.run("virsh list --name --uuid")
    cloud.compute.delete_server(made)
    cloud.compute.wait_for_delete(found, wait=120)
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    assert cloud.session.delete(f"{api}/hosts/{new_host.name}").status_code == 204


def assert_nothing_lost(load: Load) -> None:
    """Check that nothing that was acknowledged is lost."""
    lost = load.lost()
    load.clean()
    assert not lost
    assert not load.failed


def settled(cloud: Connection, server: str) -> Any:
    found = cloud.compute.get_server(server)
    return found if found.status in ("ACTIVE", "ERROR") else None
