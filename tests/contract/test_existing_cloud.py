"""A cloud with a database of revision 0008 and a running server on each of two hosts is upgraded to the current code.

`recorded/cloud_0008.sql` is the dump of such a cloud, without most of its events and audit records, with addresses for
documentation (RFC 5737) and the password of the tests.
"""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from contract.compute_helpers import run_jobs
from contract.conftest import Api, run_api
from contract.drift_helpers import FakeHosts
from skywright.db.jobs import Job
from skywright.db.migrate import current, head, upgrade
from skywright.settings import Settings

DUMP = Path(__file__).parents[1] / "recorded" / "cloud_0008.sql"
# A request that was still queued when the old code was stopped.
QUEUED = "UPDATE job SET state = 'queued', finished_at = NULL, action = 'stop', run_id = NULL WHERE sequence = 3"
WANTED = "UPDATE server SET power = 'shutoff', task_state = 'powering-off' WHERE name = 'skywright-1'"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of the upgraded cloud; its administrator has the password of the tests."""
    state = tmp_path_factory.mktemp("state")
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(state_dir=state, public_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    with sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as old:
        old.executescript(DUMP.read_text())
        old.execute(QUEUED)
        old.execute(WANTED)
    old.close()
    upgrade(settings.database_url)
    yield from run_api(settings, listener)


def test_the_database_is_upgraded(api: Api) -> None:
    assert current(api.cloud.database) == head() != "0008"


def test_existing_resources_are_shown(admin: Connection) -> None:
    servers = {server.name: server for server in admin.compute.servers(all_projects=True)}
    assert servers.keys() == {"skywright-1", "skywright-2"}
    assert {server.status for server in servers.values()} == {"ACTIVE"}
    assert {server.compute_host for server in servers.values()} == {"host1", "host2"}
    assert [image.status for image in admin.image.images()] == ["active"]
    for host in admin.compute.hypervisors(details=True):
        assert (host.state, host.hypervisor_version) == ("up", 7002022)


def test_only_new_ports_have_port_security(admin: Connection) -> None:
    networks = list(admin.network.networks())
    assert networks and all(network.is_port_security_enabled for network in networks)
    ports = list(admin.network.ports())
    assert len({port.device_id for port in ports}) >= 2
    assert not any(
        port.is_port_security_enabled or port.allowed_address_pairs or port.extra_dhcp_opts for port in ports
    )
    new = admin.network.create_port(network_id=networks[0].id)
    assert (new.is_port_security_enabled, new.allowed_address_pairs) == (True, [])
    admin.network.delete_port(new)


def test_existing_servers_have_no_drift(api: Api, admin: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    report = admin.session.post(f"{api.url}/v1/drift", json={}).json()
    assert report["resources"] == report["leftovers"] == []
    checked = {"hosts": 2, "servers": 1, "routers": 0, "networks": 1, "images": 1}
    assert report["checked"] == checked, "a job of one waits"
    [network] = hosts.drafts[-1].items["host2"]["networks"]
    assert [port["port_security_enabled"] for port in network["ports"]] == [False], "nobody's frames are dropped"
    [server] = hosts.drafts[-1].items["host2"]["servers"]
    assert server["config_drive"]["force"] is False, "no record has the content that the old code wrote"


def test_a_queued_job_runs(api: Api, admin: Connection) -> None:
    (work,) = run_jobs(api.cloud)
    assert [item["power"] for item in work.items["host1"]["servers"]] == ["shutoff"]
    with api.cloud.database.read() as session:
        assert session.get_one(Job, 3).state == "successful"
    assert admin.compute.find_server("skywright-1", all_projects=True).status == "SHUTOFF"


def test_existing_servers_stop_start_and_are_deleted(api: Api, admin: Connection) -> None:
    for name, host in (("skywright-1", "host1"), ("skywright-2", "host2")):
        server = admin.compute.find_server(name, all_projects=True)
        start = name == "skywright-1"
        (admin.compute.start_server if start else admin.compute.stop_server)(server)
        (work,) = run_jobs(api.cloud)
        assert [item["id"] for item in work.items[host]["servers"]] == [server.id]
        assert admin.compute.get_server(server).status == ("ACTIVE" if start else "SHUTOFF")
        admin.compute.delete_server(server)
        (work,) = run_jobs(api.cloud)
        assert work.items[host]["servers"] == [{"id": server.id, "state": "absent"}]
    assert list(admin.compute.servers(all_projects=True)) == []
