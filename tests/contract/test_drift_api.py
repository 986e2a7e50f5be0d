"""Drift and converge of resources, with fake hosts."""

import pytest
from sqlalchemy import select

from contract.conftest import Api
from contract.drift_helpers import (
    Ask,
    FakeHosts,
    Made,
    ask,
    fixtures,
    hosts,
    jobs_of,
    killed,
    port,
    server,
    texts,
    works,
)
from skywright.db.jobs import Host, Job

__all__ = ["ask", "fixtures", "hosts", "server"]


def test_no_drift(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    report = ask()
    assert report == {
        "state": "clean",
        "checked": {"hosts": 2, "servers": 1, "routers": 0, "networks": 1, "images": 1},
        "resources": [],
        "leftovers": [],
        "left_out": [],
        "not_checked": [],
    }
    assert [draft.playbook for draft in hosts.drafts] == ["host", "items"], "one run looks at all"
    items = hosts.drafts[1].items
    [one] = items[server.host]["servers"]
    assert (one["id"], one["power"], one["launched"]) == (server.id, "running", True)
    [network] = items[server.host]["networks"]
    assert [entry["id"] for entry in network["ports"]] == [server.port]
    assert [entry["id"] for entry in items["h1"]["networks"][0]["dhcp"]["hosts"]] == [server.port]
    assert ask("converge")["jobs"] == []


def test_each_difference_is_reported_for_its_resource(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    tunnel = "vx01234567890"
    hosts.say(
        server.host,
        "ovs_network",
        server.network,
        before={"tag": 1, "ports": {}, "taps": {}},
        after={"tag": 1, "ports": {server.tap: port(), tunnel: port()}, "taps": {server.tap: 1450}},
    )
    right = dict.fromkeys(("unit", "tags", "enabled", "told"), True)
    base = {**right, "files": {}, "options": "", "port_options": {}, "names": {}}
    hosts.say(
        "h1",
        "dhcp_network",
        server.network,
        before={**base, "running": False, "hosts": {server.port: "wrong"}},
        after={**base, "running": True, "hosts": {server.port: "right"}},
    )
    hosts.say(server.host, "libvirt_domain", server.id, action="create", after={"power": "running"})
    report = ask()
    assert report["state"] == "drift"
    assert texts(report) == {
        server.id: [
            "its domain is not defined",
            f"port {server.tap} is missing on the switch",
            "its DHCP entry differs",
        ],
        server.network: [f"tunnel {tunnel} is missing on the switch", "its DHCP server does not run"],
    }
    answer = ask("converge")
    assert jobs_of(answer) == {("server", "converge", server.id), ("network", "converge", server.network)}
    items = {host: work for found in works(api) for host, work in found.items.items() if "servers" in work}
    assert items[server.host]["servers"][0]["id"] == server.id
    with api.cloud.database.read() as session:
        jobs = session.scalars(select(Job).where(Job.action == "converge")).all()
        assert {job.state for job in jobs} == {"successful"}
        assert {job.user_id for job in jobs} != {None}


def test_a_network_is_repaired_only_on_hosts_where_it_differs(
    api: Api, ask: Ask, hosts: FakeHosts, server: Made
) -> None:
    hosts.say("h1", "ovs_network", server.network, after={"ports": {"dh0": port()}})
    ask("converge")
    [work] = works(api)
    assert list(work.items) == ["h1"]
    [item] = work.items["h1"]["networks"]
    assert item["ports"] == [] and item["dhcp"]["hosts"] == [], "what is servers' is their jobs'"
    assert set().union(*work.depends.values()) == {("h1", server.network)}


@pytest.mark.parametrize("seen", [False, True])
def test_a_killed_guest_is_started(api: Api, ask: Ask, hosts: FakeHosts, server: Made, *, seen: bool) -> None:
    if seen:  # the observer came first
        server.set(status="SHUTOFF", power_state=4)
    killed(hosts, server, "crashed")
    assert texts(ask()) == {server.id: ["it does not run: its QEMU crashed or was killed"]}
    ask("converge")
    works(api)
    assert (server.get().status, server.get().power) == ("ACTIVE", "running")


def test_a_guest_that_shut_itself_down_stays_off(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    killed(hosts, server, "shutdown")
    assert ask()["state"] == "clean"
    assert server.get().status == "ACTIVE", "drift changes nothing"
    # Other differences are repaired.
    hosts.say(server.host, "server_disk", server.id, before={"config_drive": None}, after={"config_drive": "x"})
    assert texts(ask()) == {server.id: ["its config drive is missing"]}
    ask("converge")
    [work] = works(api)
    assert work.items[server.host]["servers"][0]["power"] == "shutoff"
    assert server.get().status == "SHUTOFF"


def test_a_lost_disk_is_recreated_only_on_request(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.say(server.host, "server_disk", server.id, error="its disk is lost", status="lost", action="")
    hosts.say(server.host, "libvirt_domain", server.id, error="its disk is lost")
    report = ask()
    [found] = report["resources"]
    assert (report["state"], found["state"], len(found["differences"])) == ("drift", "lost", 1)
    assert ask("converge")["jobs"] == []
    assert jobs_of(ask("converge", recreate_disks=True)) == {("server", "converge", server.id)}
    [work] = works(api)
    assert work.items[server.host]["servers"][0]["launched"] is False


def test_unreadable_items_are_no_drift(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.say(server.host, "libvirt_domain", server.id, error="cannot reach libvirt")
    report = ask()
    assert report["state"] == "incomplete"
    assert report["resources"][0]["state"] == "unknown"
    assert ask("converge")["jobs"] == []


def test_hosts_that_cannot_be_compared(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.silent = {"h2"}
    report = ask()
    assert report["state"] == "incomplete"
    assert [one["host"] for one in report["not_checked"]] == ["h2"]
    assert "no route" in report["not_checked"][0]["reason"]
    with api.cloud.database.write() as session:
        session.get_one(Host, "h2").state = "maintenance"
    report = ask()
    assert report["not_checked"] == [{"host": "h2", "reason": "host h2 is in maintenance"}]
    assert [name for name, _, _ in hosts.drafts[-2].hosts] == ["h1"]
    with api.cloud.database.write() as session:
        session.get_one(Host, "h2").state = "enabled"
