"""Servers with openstacksdk and raw requests; jobs are settled without Ansible."""

import base64
import threading
from collections.abc import Iterator

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from skywright.db.jobs import Job


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def make(nova: Nova, fixtures: Fixtures, name: str = "one", **more: object) -> str:
    answer = nova("POST", "/servers", fixtures.body(name, **more))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def test_a_server_lives_and_dies(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    server = demo.compute.create_server(
        name="web", image_id=fixtures.image, flavor_id=fixtures.flavor, networks=[{"uuid": fixtures.network}]
    )
    assert demo.compute.get_server(server.id).status == "BUILD"
    run_jobs(api.cloud)
    server = demo.compute.wait_for_server(server, wait=5)
    assert (server.status, server.power_state, server.vm_state) == ("ACTIVE", 1, "active")
    assert server.flavor.original_name.startswith("small-")
    [address] = server.addresses["net"]
    assert address["addr"].startswith("10.9.") and address["OS-EXT-IPS:type"] == "fixed"
    for call, waiting, end in (
        (demo.compute.stop_server, "ACTIVE", "SHUTOFF"),
        (demo.compute.start_server, "SHUTOFF", "ACTIVE"),
        (lambda s: demo.compute.reboot_server(s, "SOFT"), "REBOOT", "ACTIVE"),
        (lambda s: demo.compute.reboot_server(s, "HARD"), "HARD_REBOOT", "ACTIVE"),
    ):
        call(server)
        assert demo.compute.get_server(server.id).status == waiting
        run_jobs(api.cloud)
        assert demo.compute.get_server(server.id).status == end
    actions = {action.action for action in demo.compute.server_actions(server)}
    assert actions == {"create", "stop", "start", "reboot"}
    demo.compute.delete_server(server)
    assert demo.compute.get_server(server.id).task_state == "deleting"
    run_jobs(api.cloud)
    demo.compute.wait_for_delete(server, wait=5)
    assert not list(demo.network.ports(device_id=server.id))


def test_the_items_of_a_run(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    server = make(nova, fixtures, "Web Server_1", metadata={"role": "web"}, user_data=data)
    [work] = run_jobs(api.cloud)
    [(host, items)] = [(host, items) for host, items in work.items.items() if "servers" in items]
    [item], [image] = items["servers"], items["images"]
    assert item["id"] == server and item["power"] == "running" and item["image_id"] == image["id"] == fixtures.image
    drive = item["config_drive"]
    assert drive["meta_data"]["hostname"] == "web-server-1" and drive["meta_data"]["meta"] == {"role": "web"}
    assert drive["user_data"] == data
    [link] = drive["network_data"]["links"]
    assert link["vif_id"] == item["ports"][0]["id"] and link["ethernet_mac_address"] == item["ports"][0]["mac"]
    assert drive["network_data"]["networks"][0]["type"] == "ipv4_dhcp"
    [depends] = work.depends.values()
    assert {(host, server), (host, fixtures.image), (host, fixtures.network)} <= depends


def test_deleting_a_server_before_its_job_began_is_immediate(
    api: Api, demo: Connection, nova: Nova, fixtures: Fixtures
) -> None:
    server = make(nova, fixtures)
    assert nova("DELETE", f"/servers/{server}").status_code == 204
    assert nova("GET", f"/servers/{server}").status_code == 404
    assert not list(demo.network.ports(device_id=server))
    assert run_jobs(api.cloud) == []


def test_failures_show_and_do_not_stop_deletion(api: Api, nova: Nova, nova_admin: Nova, fixtures: Fixtures) -> None:
    server = make(nova, fixtures)
    run_jobs(api.cloud, error="host1: No space left on device")
    shown = nova("GET", f"/servers/{server}").json()["server"]
    assert shown["status"] == "ERROR" and shown["OS-EXT-STS:task_state"] is None
    assert shown["fault"]["message"] == "host1: No space left on device" and shown["fault"]["code"] == 500
    assert "details" not in shown["fault"]
    assert "details" in nova_admin("GET", f"/servers/{server}").json()["server"]["fault"]
    listed = nova("GET", "/servers/detail").json()["servers"]
    assert [entry["fault"]["code"] for entry in listed if entry["id"] == server] == [500]
    assert nova("DELETE", f"/servers/{server}").status_code == 204
    assert len(run_jobs(api.cloud, error="host1 is unreachable")) == 1
    assert nova("GET", f"/servers/{server}").status_code == 404
    # A cleanup job removes the rest from the host.
    with api.cloud.database.write() as session:
        for job in session.query(Job).where(Job.action == "cleanup", Job.state == "queued"):
            assert job.not_before is not None
            job.not_before = None
    [cleanup] = run_jobs(api.cloud)
    [(_, items)] = [(host, items) for host, items in cleanup.items.items() if "servers" in items]
    assert items["servers"] == [{"id": server, "state": "absent"}]
    assert [port["state"] for port in items["networks"][0]["ports"]] == ["absent"]


def test_conflicts(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    server = make(nova, fixtures)
    run_jobs(api.cloud)
    answer = nova("POST", f"/servers/{server}/action", {"os-start": None})
    assert answer.status_code == 409
    message = answer.json()["conflictingRequest"]["message"]
    assert message == f"Cannot 'start' instance {server} while it is in vm_state active"
    assert nova("POST", f"/servers/{server}/action", {"os-stop": None}).status_code == 202
    assert "task_state powering-off" in nova("POST", f"/servers/{server}/action", {"os-stop": None}).text
    run_jobs(api.cloud)
    answer = nova("POST", f"/servers/{server}/action", {"os-stop": None})
    assert answer.json()["conflictingRequest"]["message"].startswith("Cannot 'stop' instance")
    assert nova("POST", f"/servers/{server}/action", {"reboot": {"type": "SOFT"}}).status_code == 409
    for body in ({"reboot": {"type": "sideways"}}, {"reboot": None}, {"nonsense": None}, {"pause": None}, {}):
        assert nova("POST", f"/servers/{server}/action", body).status_code == 400
    assert nova("POST", "/servers/nothing/action", {"os-stop": None}).status_code == 404
    # Nova repeats a hard reboot that has not ended.
    for _ in range(2):
        assert nova("POST", f"/servers/{server}/action", {"reboot": {"type": "HARD"}}).status_code == 202
    run_jobs(api.cloud)
    shown = nova("GET", f"/servers/{server}").json()["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)


def test_no_valid_host(api: Api, admin: Connection, nova: Nova, fixtures: Fixtures) -> None:
    huge = admin.compute.create_flavor(name="huge", vcpus=1, ram=10**7, disk=1)
    server = make(nova, fixtures, flavorRef=huge.id)
    run_jobs(api.cloud)
    fault = nova("GET", f"/servers/{server}").json()["server"]["fault"]
    assert fault["code"] == 500 and fault["message"].startswith("No valid host was found. ")
    assert "free memory: 0" in fault["message"]
    assert nova("POST", f"/servers/{server}/action", {"reboot": {"type": "HARD"}}).status_code == 409
    assert nova("DELETE", f"/servers/{server}").status_code == 204
    assert nova("GET", f"/servers/{server}").status_code == 404


def test_console_output(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    server = make(nova, fixtures)
    path, body = f"/servers/{server}/action", {"os-getConsoleOutput": {"length": 10}}
    assert nova("POST", path, body).status_code == 409
    run_jobs(api.cloud)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            run_jobs(api.cloud, output="login: ")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        answer = nova("POST", path, body)
    finally:
        stop.set()
        worker.join()
    assert answer.status_code == 200 and answer.json() == {"output": "login: "}
    assert nova("POST", path, {"os-getConsoleOutput": {"length": "x"}}).status_code == 400
