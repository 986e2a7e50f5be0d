"""Deleting a port that a server uses removes it from the server, as with Neutron and Nova."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import select

from contract.compute_helpers import Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from skywright.core import Work
from skywright.db.jobs import Job
from skywright.services.compute.tables import Server


@pytest.fixture(scope="module", autouse=True)
def hosts(api: Api) -> None:
    add_hosts(api.cloud, "host1")


@pytest.fixture
def ports(api: Api, admin: Connection, demo: Connection) -> Iterator[list[Any]]:
    """The ports of a running server: an existing port of the user, and one that was created with the server."""
    fixtures = make_fixtures(api, admin, demo)
    own = demo.network.create_port(network_id=fixtures.network)
    body = fixtures.body(networks=[{"port": own.id}, {"uuid": fixtures.network}])
    nova = Nova(demo, api.url)
    server = nova("POST", "/servers", body).json()["server"]["id"]
    run_jobs(api.cloud)
    yield list(demo.network.ports(device_id=server))
    nova("DELETE", f"/servers/{server}")
    run_jobs(api.cloud)


def shown(api: Api, demo: Connection, server: str) -> dict[str, Any]:
    view: dict[str, Any] = Nova(demo, api.url)("GET", f"/servers/{server}").json()["server"]
    return view


def items(works: list[Work], kind: str) -> list[dict[str, Any]]:
    return [item for work in works for item in work.items.get("host1", {}).get(kind, [])]


@pytest.mark.parametrize("index", [0, 1])
def test_a_deleted_port_is_removed_from_its_running_server(
    api: Api, demo: Connection, ports: list[Any], index: int
) -> None:
    gone, left = ports[index], ports[1 - index]
    demo.network.delete_port(gone, ignore_missing=False)
    assert demo.network.find_port(gone.id) is None
    assert [each["addr"] for each in shown(api, demo, gone.device_id)["addresses"]["net"]] == [
        left.fixed_ips[0]["ip_address"]
    ]
    works = run_jobs(api.cloud)
    (server,) = items(works, "servers")
    assert [port["id"] for port in server["ports"]] == [left.id] and server["power"] == "running"
    (network,) = items(works, "networks")
    assert network["ports"] == [{"id": gone.id, "mac": gone.mac_address, "state": "absent"}]
    assert shown(api, demo, gone.device_id)["status"] == "ACTIVE"
    actions = Nova(demo, api.url)("GET", f"/servers/{gone.device_id}/os-instance-actions").json()["instanceActions"]
    assert actions[0]["action"] == "detach_interface"


def test_a_stopped_server_stays_stopped(api: Api, demo: Connection, ports: list[Any]) -> None:
    demo.compute.stop_server(ports[0].device_id)
    run_jobs(api.cloud)
    demo.network.delete_port(ports[0], ignore_missing=False)
    (server,) = items(run_jobs(api.cloud), "servers")
    assert server["power"] == "shutoff" and len(server["ports"]) == 1
    assert shown(api, demo, ports[0].device_id)["status"] == "SHUTOFF"


def test_a_server_in_error_is_not_changed(api: Api, demo: Connection, ports: list[Any]) -> None:
    with api.cloud.database.write() as session:
        session.get_one(Server, ports[0].device_id).status = "ERROR"
    demo.network.delete_port(ports[0], ignore_missing=False)
    works = run_jobs(api.cloud)
    assert items(works, "servers") == [] and len(items(works, "networks")) == 1
    assert shown(api, demo, ports[0].device_id)["status"] == "ERROR"


def test_an_unreachable_host_is_tried_again(api: Api, demo: Connection, ports: list[Any]) -> None:
    demo.network.delete_port(ports[0], ignore_missing=False)
    run_jobs(api.cloud, error="no route", unreachable=True)
    assert shown(api, demo, ports[0].device_id)["status"] == "ACTIVE"
    with api.cloud.database.write() as session:
        (again,) = session.scalars(select(Job).where(Job.action == "detach_interface", Job.finished_at.is_(None)))
        assert again.arguments["attempt"] == 1 and again.not_before is not None
        again.not_before = None
    assert len(items(run_jobs(api.cloud), "networks")) == 1


def test_a_server_on_no_host_needs_no_job(api: Api, admin: Connection, demo: Connection) -> None:
    fixtures = make_fixtures(api, admin, demo)
    server = Nova(demo, api.url)("POST", "/servers", fixtures.body()).json()["server"]["id"]
    (port,) = demo.network.ports(device_id=server)
    demo.network.delete_port(port, ignore_missing=False)
    (made,) = items(run_jobs(api.cloud), "servers")
    assert made["ports"] == [] and shown(api, demo, server)["addresses"] == {}
