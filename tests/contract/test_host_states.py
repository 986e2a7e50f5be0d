"""States of hosts, set with the native API and with Nova's."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import delete, select

from contract.conftest import Api
from recorded_hosts import observed
from skywright.db import utcnow
from skywright.db.jobs import Host, Job, JobResource
from skywright.services.compute.tables import Server
from skywright.services.network.ipam import DHCP_OWNER
from skywright.services.network.tables import Network, NetworkHost, Port


@pytest.fixture(autouse=True)
def hosts(api: Api) -> Iterator[None]:
    """Hosts `a` and `b`, and nothing else."""
    with api.cloud.database.write() as session:
        session.add_all([observed(name, groups=["computes", "networks"]) for name in "ab"])
    yield
    with api.cloud.database.write() as session:
        for table in (Server, Job, NetworkHost, Port, Network, Host):
            session.execute(delete(table))


@pytest.fixture
def server(api: Api) -> str:
    """A server on `a`."""
    columns: dict[str, Any] = {"project_id": "p", "user_id": "u", "hostname": "s", "flavor": {"disk": 0}}
    with api.cloud.database.write() as session:
        session.add(Server(id="s-1", name="web", host="a", vcpus=2, ram_mib=512, disk_gib=3, **columns))
    return "s-1"


def put(admin: Connection, api: Api, name: str, **host: Any) -> dict[str, Any]:
    answer: dict[str, Any] = admin.session.put(f"{api.url}/v1/hosts/{name}", json={"host": host}).json()["host"]
    return answer


def service(admin: Connection, name: str = "a") -> Any:
    (found,) = [row for row in admin.compute.services() if row.host == name]
    return found


def change(api: Api, name: str, **values: Any) -> None:
    with api.cloud.database.write() as session:
        host = session.get_one(Host, name)
        for key, value in values.items():
            setattr(host, key, value)


def held(api: Api, host: str) -> str:
    """A job that waits for *host*."""
    with api.cloud.database.write() as session:
        job = Job(playbook="server", action="start", held_by=host, waiting_for="it", held_since=utcnow())
        job.not_before = utcnow() + timedelta(hours=1)
        job.resources = [JobResource(resource_type="server", resource_id="s-1")]
        session.add(job)
        session.flush()
        return job.id


def released(api: Api, job_id: str) -> bool:
    with api.cloud.database.read() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        return job.held_by is None and job.not_before is None


def test_maintenance_is_shown_by_compute_services_and_ended_there(admin: Connection, api: Api) -> None:
    host = put(admin, api, "a", state="maintenance", disabled_reason="a new disk")
    assert (host["state"], host["disabled_reason"]) == ("maintenance", "a new disk")
    assert (service(admin).status, service(admin).disabled_reason) == ("disabled", "a new disk")
    job = held(api, "a")
    change = {"status": "disabled", "disabled_reason": "and more memory"}
    assert admin.compute.put(f"/os-services/{service(admin).id}", json=change, microversion="2.53").ok
    host = admin.session.get(f"{api.url}/v1/hosts/a").json()["host"]
    assert (host["state"], host["disabled_reason"]) == ("maintenance", "and more memory")
    assert not released(api, job)
    admin.compute.enable_service(service(admin))
    assert admin.session.get(f"{api.url}/v1/hosts/a").json()["host"]["state"] == "enabled"
    assert released(api, job)


def test_a_quarantined_host_shows_the_reason_and_can_be_enabled(admin: Connection, api: Api) -> None:
    later = utcnow() + timedelta(minutes=5)
    change(api, "a", up=False, failures=3, unreachable="refused", retry_at=later, quarantined_at=utcnow())
    host = admin.session.get(f"{api.url}/v1/hosts/a").json()["host"]
    assert (host["state"], host["failures"], host["unreachable"]) == ("quarantined", 3, "refused")
    found = service(admin)
    assert (found.status, found.state) == ("disabled", "down")
    assert found.disabled_reason == "AUTO: a is unreachable: refused"
    job = held(api, "a")
    host = put(admin, api, "a", state="enabled")
    assert (host["state"], host["retry_at"]) == ("enabled", None)
    assert released(api, job)


def refusal(admin: Connection, api: Api, name: str, **host: Any) -> str:
    answer = admin.session.put(f"{api.url}/v1/hosts/{name}", json={"host": host}, raise_exc=False)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


def test_an_enabled_host_has_no_reason_to_be_disabled(admin: Connection, api: Api) -> None:
    for state in ({}, {"state": "enabled"}):
        assert "requires that the host's state" in refusal(admin, api, "a", disabled_reason="why", **state)
    put(admin, api, "a", state="disabled")
    assert put(admin, api, "a", disabled_reason="why")["disabled_reason"] == "why"
    assert put(admin, api, "a", state="enabled", disabled_reason=None)["disabled_reason"] is None


@pytest.mark.parametrize("name", ["all", "ungrouped", "computes", "new"])
def test_hosts_and_groups_have_different_names(admin: Connection, api: Api, name: str) -> None:
    """Ansible runs a play for a group on the host of that name alone."""
    groups = ["computes", "new"]
    assert refusal(admin, api, name, groups=groups) == f"A host and a group must not have the same name: {name}."
    assert refusal(admin, api, "c", groups=["computes", "b"]) == "A host and a group must not have the same name: b."
    assert {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]} == {"a", "b"}


@pytest.mark.parametrize("port", [0, 65536, "99999", "00000"])
def test_ports_of_hosts_exist(admin: Connection, api: Api, port: object) -> None:
    assert "ansible_port" in refusal(admin, api, "a", variables={"ansible_port": port})
    assert put(admin, api, "a", variables={"ansible_port": 65535})["variables"] == {"ansible_port": 65535}


def test_only_a_host_without_servers_can_be_drained(admin: Connection, api: Api, server: str) -> None:
    drain = f"{api.url}/v1/hosts/{{}}/drain"
    answer = admin.session.post(drain.format("a"), json={}, raise_exc=False)
    assert answer.status_code == 409
    assert f"web ({server})" in answer.json()["error"]["message"]
    assert service(admin).status == "enabled"
    host = admin.session.post(drain.format("b"), json={"reason": "moving house"}).json()["host"]
    assert (host["state"], host["disabled_reason"]) == ("maintenance", "moving house")
    assert admin.session.post(drain.format("c"), json={}, raise_exc=False).status_code == 404


def test_a_host_shows_what_servers_use(admin: Connection, api: Api, server: str) -> None:
    used = {host["name"]: host["used"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert used["a"] == {"vcpus": 2, "memory_mib": 512, "disk_gib": 3, "servers": 1}
    assert used["b"]["servers"] == 0
    assert admin.session.delete(f"{api.url}/v1/hosts/a", raise_exc=False).status_code == 409


def test_another_host_serves_the_networks_of_a_removed_host(admin: Connection, api: Api) -> None:
    with api.cloud.database.write() as session:
        session.add(Network(id="net", project_id="p", segmentation_id=1001))
        session.flush()
        session.add_all([NetworkHost(network_id="net", host=name) for name in "ab"])
        port = Port(id="dhcp", network_id="net", project_id="p", mac_address="fa:16:3e:00:00:01", host="a")
        port.device_owner = DHCP_OWNER
        session.add(port)
    job = held(api, "a")
    assert admin.session.delete(f"{api.url}/v1/hosts/a").status_code == 204
    assert released(api, job)
    with api.cloud.database.read() as session:
        assert list(session.scalars(select(NetworkHost.host))) == ["b"]
        jobs = session.scalars(select(Job).where(Job.playbook == "network")).all()
    assert [(job.action, job.arguments) for job in jobs] == [("update", {"network_id": "net"})]


def test_a_job_that_waits_for_its_host_can_be_forced(admin: Connection, api: Api) -> None:
    job = held(api, "a")
    assert admin.session.post(f"{api.url}/v1/jobs/{job}/force").status_code == 202
    assert released(api, job)
    with api.cloud.database.write() as session:
        row = session.scalars(select(Job).where(Job.id == job)).one()
        assert row.forced
        row.state = "successful"
    assert admin.session.post(f"{api.url}/v1/jobs/{job}/force", raise_exc=False).status_code == 409


def test_a_deletion_cancels_a_job_that_waits_for_its_host(admin: Connection, api: Api, server: str) -> None:
    job = held(api, "a")
    admin.compute.delete_server(server)
    with api.cloud.database.read() as session:
        assert session.scalars(select(Job).where(Job.id == job)).one().cancel_requested_at is not None
