"""Items of servers' jobs, and the outcomes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from databases import make_tables
from recorded_hosts import observed
from skywright.cloud import Cloud
from skywright.core import Outcome
from skywright.db import utcnow
from skywright.db.jobs import Host, Job, JobResource
from skywright.jobs.engine.settle import settle
from skywright.services.compute.kinds.console import ConsoleKind
from skywright.services.compute.kinds.server import ServerKind
from skywright.services.compute.tables import Server
from skywright.services.image.tables import Image
from skywright.services.network import ipam
from skywright.services.network.tables import Network, Port, Subnet
from skywright.settings import Settings

GOOD = Outcome(ok=True)
KIND, CONSOLE = ServerKind(), ConsoleKind()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(Settings(state_dir=tmp_path), [KIND])
    make_tables(cloud.database)
    yield cloud
    cloud.database.engine.dispose()


@pytest.fixture
def session(cloud: Cloud) -> Iterator[Session]:
    with cloud.database.write() as session:
        for number in (1, 2):
            variables = {"vswitch_data_address": f"172.20.1.1{number}/24"}
            groups = ["computes", "networks"] if number == 1 else ["computes"]
            session.add(observed(f"host{number}", groups=groups, variables=variables))
        session.add(Network(id="net", project_id="p", segmentation_id=1001))
        session.flush()
        pools = [{"start": "10.0.0.2", "end": "10.0.0.254"}]
        subnet = {"network_id": "net", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "allocation_pools": pools}
        session.add(Subnet(id="sub", project_id="p", dns_nameservers=["192.0.2.53"], **subnet))
        formats = {"disk_format": "qcow2", "container_format": "bare"}
        session.add(Image(id="img", status="active", os_hash_algo="sha512", os_hash_value="ab", **formats))
        session.flush()
        yield session


def make(session: Session, identifier: str, **values: Any) -> Server:
    columns: dict[str, Any] = {"project_id": "p", "user_id": "u", "name": identifier, "hostname": identifier}
    columns |= {"flavor": {"disk": 0}, "vcpus": 1, "ram_mib": 128, "disk_gib": 1, "image_id": "img"}
    server = Server(id=identifier, **columns | values)
    session.add(server)
    session.flush()
    ipam.create_port(
        session,
        session.get_one(Network, "net"),
        "p",
        device_id=identifier,
        device_owner="compute:nova",
        host=server.host or "",
    )
    return server


def job(session: Session, action: str, server: str, playbook: str = "server", **arguments: Any) -> Job:
    row = Job(playbook=playbook, action=action, arguments=arguments)
    row.resources = [JobResource(resource_type="server", resource_id=server)]
    session.add(row)
    session.flush()
    return row


def test_a_new_server_gets_a_host_and_a_config_drive(session: Session, cloud: Cloud) -> None:
    make(session, "a", public_key="ssh-ed25519 AAAA", key_name="key", user_data="aGk=", properties={"a": "{{ b }}"})
    make(session, "b", config_drive=False)
    jobs = [job(session, "create", "a"), job(session, "create", "b")]
    work = KIND.render(session, jobs, cloud)
    servers = [item for items in work.items.values() for item in items["servers"]]
    assert {server["id"]: server["config_drive"] is None for server in servers} == {"a": False, "b": True}
    drive = next(server["config_drive"] for server in servers if server["id"] == "a")
    assert drive["meta_data"]["public_keys"] == {"key": "ssh-ed25519 AAAA"}
    assert drive["network_data"]["services"] == [{"type": "dns", "address": "192.0.2.53"}]
    assert {session.get_one(Server, name).host for name in "ab"} == {"host1", "host2"}
    assert {port.host for port in session.scalars(select(Port).where(Port.device_id != ""))} >= {"host1", "host2"}


def test_an_image_is_listed_once_per_host(session: Session, cloud: Cloud) -> None:
    for name in "abcd":
        make(session, name)
    work = KIND.render(session, [job(session, "create", name) for name in "abcd"], cloud)
    assert [len(items["images"]) for items in work.items.values()] == [1, 1]
    assert sum(len(items["servers"]) for items in work.items.values()) == 4


def test_a_static_address_is_in_the_config_drive(session: Session, cloud: Cloud) -> None:
    session.get_one(Subnet, "sub").enable_dhcp = False
    make(session, "a")
    work = KIND.render(session, [job(session, "create", "a")], cloud)
    [entry] = work.items["host1"]["servers"][0]["config_drive"]["network_data"]["networks"]
    assert entry["type"] == "ipv4" and entry["ip_address"] == "10.0.0.2" and entry["netmask"] == "255.255.255.0"
    assert entry["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]


def test_null_hosts_get_neither_images_nor_networks(session: Session, cloud: Cloud) -> None:
    for host in session.scalars(select(Host)):
        host.variables = {"hypervisor_libvirt_uri": "test:///default"}
    make(session, "a")
    create = job(session, "create", "a")
    work = KIND.render(session, [create], cloud)
    [(host, items)] = work.items.items()
    assert set(items) == {"servers"} and work.depends[create.id] == {(host, "a")}


def test_stopping_needs_neither_image_nor_network(session: Session, cloud: Cloud) -> None:
    make(session, "a", host="host2", power="shutoff")
    work = KIND.render(session, [job(session, "stop", "a")], cloud)
    assert set(work.items) == {"host2"} and set(work.items["host2"]) == {"servers"}


def test_an_image_that_cannot_boot_is_refused(session: Session, cloud: Cloud) -> None:
    session.get_one(Image, "img").status = "deactivated"
    make(session, "a")
    create = job(session, "create", "a")
    assert "Image img" in KIND.render(session, [create], cloud).refused[create.id]


def test_outcomes(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host1")
    KIND.settle(session, job(session, "create", "a"), Outcome(ok=False, error="host1: no space"), cloud)
    assert server.status == "ERROR" and server.fault is not None and server.fault["message"] == "host1: no space"
    server.power = "running"
    KIND.settle(session, job(session, "reboot", "a"), GOOD, cloud)
    assert (server.status, server.power_state, server.fault) == ("ACTIVE", 1, None) and server.launched_at
    server.power = "shutoff"
    KIND.settle(session, job(session, "stop", "a"), GOOD, cloud)
    assert (server.status, server.power_state) == ("SHUTOFF", 4)
    server.task_state = "powering-on"
    KIND.settle(session, job(session, "start", "a"), Outcome(ok=False, error="canceled", canceled=True), cloud)
    assert (server.status, server.task_state) == ("SHUTOFF", None)


def test_a_waiting_deletion_is_kept(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host1", task_state="deleting")
    KIND.settle(session, job(session, "create", "a"), GOOD, cloud)
    assert (server.status, server.task_state) == ("ACTIVE", "deleting")


def test_ports_of_the_user_outlive_the_server(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host1")
    brought = ipam.create_port(session, session.get_one(Network, "net"), "p", device_id="a", host="host1")
    server.kept_ports = [brought.id]
    delete = job(session, "delete", "a")
    work = KIND.render(session, [delete], cloud)
    assert {port["state"] for port in work.items["host1"]["networks"][0]["ports"]} == {"absent"}
    KIND.settle(session, delete, GOOD, cloud)
    assert [port.id for port in session.scalars(select(Port).where(Port.device_owner != "network:dhcp"))] == [
        brought.id
    ]
    assert (brought.device_id, brought.host, brought.status) == ("", "", "DOWN")
    assert server.status == "DELETED" and server.deleted_at


def test_cleanup_has_growing_pauses_and_ends_with_the_host(session: Session, cloud: Cloud) -> None:
    make(session, "a", host="host2")
    failed = Outcome(ok=False, error="host2 is unreachable")
    KIND.settle(session, job(session, "delete", "a"), failed, cloud)
    waits = []
    for attempt in (1, 2):
        cleanup = session.scalars(select(Job).where(Job.action == "cleanup").order_by(Job.sequence.desc())).first()
        assert cleanup and cleanup.not_before and cleanup.arguments["attempt"] == attempt
        waits.append((cleanup.not_before - utcnow()).total_seconds())
        assert KIND.render(session, [cleanup], cloud).items["host2"]["servers"] == [{"id": "a", "state": "absent"}]
        KIND.settle(session, cleanup, failed, cloud)
        session.flush()
    assert waits[1] > 1.5 * waits[0]
    session.delete(session.get_one(Host, "host2"))
    session.flush()
    before = len(list(session.scalars(select(Job))))
    assert not KIND.render(session, [cleanup], cloud).items
    KIND.settle(session, cleanup, failed, cloud)
    session.flush()
    assert len(list(session.scalars(select(Job)))) == before


def test_console_jobs(session: Session, cloud: Cloud) -> None:
    make(session, "a", host="host2")
    make(session, "b")
    read = job(session, "read", "a", "console", server_id="a", length=10)
    lost = job(session, "read", "b", "console", server_id="b", length=None)
    work = CONSOLE.render(session, [read, lost], cloud)
    assert work.items == {"host2": {"servers": [{"id": "a", "length": 10}]}}
    assert set(work.refused) == {lost.id}
    CONSOLE.settle(session, read, Outcome(ok=True, results=[{"id": "a", "output": "hello"}]), cloud)
    assert read.result == {"output": "hello"}


def test_only_a_server_that_never_ran_gets_a_new_disk(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host2")

    def launched(action: str, **arguments: Any) -> bool:
        work = KIND.render(session, [job(session, action, "a", **arguments)], cloud)
        return bool(work.items["host2"]["servers"][0]["launched"])

    assert not launched("reboot")
    server.launched_at = utcnow()
    assert launched("reboot") and launched("start") and launched("converge")
    assert not launched("converge", recreate_disk=True)
    assert not launched("create"), "a run of its first job can be done again"


def test_one_new_guest_starts_first_unless_another_run_creates_guests(session: Session, cloud: Cloud) -> None:
    def first(jobs: list[Job]) -> list[str]:
        hosts = KIND.render(session, jobs, cloud).items.values()
        return [item["id"] for items in hosts for item in items.get("servers", ()) if item["starts_first"]]

    jobs = []
    for name in "abc":
        make(session, name)
        jobs.append(job(session, "create", name))
    jobs[1].state = "running"
    assert first(jobs) == ["a"]
    assert first(jobs[1:]) == ["b"]
    assert first([jobs[2]]) == []


def test_a_failed_repair_does_not_change_the_server(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host2", status="ACTIVE")
    converge = job(session, "converge", "a")
    KIND.settle(session, converge, Outcome(ok=False, error="host2: no"), cloud)
    assert (server.status, server.fault) == ("ACTIVE", None)
    server.status, server.power_state = "SHUTOFF", 4
    KIND.settle(session, converge, GOOD, cloud)
    assert (server.status, server.power_state) == ("ACTIVE", 1)


def test_tidying_removes_only_leftovers(session: Session, cloud: Cloud) -> None:
    server = make(session, "a", host="host2", status="ACTIVE")
    leftover, own = (job(session, "tidy", "a", server_id="a", host=host, ports=[]) for host in ("host1", "host2"))
    work = KIND.render(session, [leftover, own], cloud)
    assert work.items == {"host1": {"servers": [{"id": "a", "state": "absent"}]}}
    assert set(work.refused) == {own.id}
    KIND.settle(session, leftover, GOOD, cloud)
    KIND.settle(session, leftover, Outcome(ok=False, error="no"), cloud)
    assert (server.status, server.deleted_at) == ("ACTIVE", None)


class TestCanceledCreate:
    """A create that was canceled after it began, and removes what it made."""

    @pytest.fixture
    def server(self, session: Session) -> Server:
        return make(session, "a", host="host2", status="BUILD", task_state="spawning")

    @pytest.fixture
    def undoing(self, session: Session, cloud: Cloud, server: Server) -> Job:
        row = job(session, "create", server.id)
        KIND.render(session, [row], cloud)
        row.attempts, row.undoing = 1, True
        return row

    def cleanups(self, session: Session) -> list[Job]:
        return list(session.scalars(select(Job).where(Job.action == "cleanup")))

    def test_its_items_are_absent(self, session: Session, cloud: Cloud, undoing: Job) -> None:
        items = KIND.render(session, [undoing], cloud).items
        assert items["host2"]["servers"] == [{"id": "a", "state": "absent"}]
        assert [port["state"] for port in items["host2"]["networks"][0]["ports"]] == ["absent"]
        [entry] = items["host1"]["networks"][0]["dhcp"]["hosts"]
        assert entry["state"] == "absent"

    def test_the_server_is_in_error_on_no_host(
        self, session: Session, cloud: Cloud, undoing: Job, server: Server
    ) -> None:
        settle(session, cloud, undoing, GOOD)
        assert (undoing.state, server.status, server.host, server.task_state) == ("canceled", "ERROR", None, None)
        assert server.fault and server.fault["message"] == "The job was canceled"
        assert {port.host for port in session.scalars(select(Port).where(Port.device_id == "a"))} == {""}
        assert self.cleanups(session) == []

    def test_a_cleanup_job_removes_the_rest(self, session: Session, cloud: Cloud, undoing: Job, server: Server) -> None:
        settle(session, cloud, undoing, Outcome(ok=False, error="host2 is unreachable"))
        assert (undoing.state, server.status, server.host) == ("canceled", "ERROR", None)
        [cleanup] = self.cleanups(session)
        assert cleanup.arguments["host"] == "host2" and len(cleanup.arguments["ports"]) == 1

    def test_a_deletion_replaces_the_cleanup_job(
        self, session: Session, cloud: Cloud, undoing: Job, server: Server
    ) -> None:
        server.task_state = "deleting"
        assert not KIND.render(session, [undoing], cloud).items
        settle(session, cloud, undoing, GOOD)
        assert (server.status, server.host, server.task_state) == ("BUILD", "host2", "deleting")
        settle(session, cloud, job(session, "delete", "a"), Outcome(ok=False, error="canceled", canceled=True))
        assert (server.status, server.host, server.task_state) == ("ERROR", None, None)
        assert len(self.cleanups(session)) == 1
