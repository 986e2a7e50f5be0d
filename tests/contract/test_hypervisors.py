"""`os-hypervisors` with the recorded facts of real hosts, at every microversion that changes something.

https://docs.openstack.org/api-ref/compute/#hypervisors-os-hypervisors
"""

import json
from typing import Any

import pytest
from openstack.connection import Connection

from contract import openstack_shell
from contract.compute_helpers import Nova, add_hosts
from contract.conftest import Api
from recorded_hosts import answer, facts
from skywright.db import utcnow
from skywright.db.jobs import Host
from skywright.services.compute.tables import Server

PATH = "/os-hypervisors"
CAPACITY = {
    "vcpus": 2,
    "vcpus_used": 3,
    "memory_mb": 9305,
    "memory_mb_used": 1536,
    "free_ram_mb": 7769,
    "local_gb": 251,
    "local_gb_used": 9,
    "free_disk_gb": 242,
    "disk_available_least": 76,
    "running_vms": 2,
    "current_workload": 1,
}


@pytest.fixture(scope="module", autouse=True)
def hosts(api: Api) -> None:
    """`host1` with two servers, one of them with a running job; `host2`, empty and down; `host3`, never observed."""
    add_hosts(api.cloud, "host1", "host2", "host3")
    columns: dict[str, Any] = {"project_id": "p", "user_id": "u", "flavor": {"disk": 0}, "host": "host1"}
    with api.cloud.database.write() as session:
        session.add(Server(id="s-1", name="one", vcpus=1, ram_mib=512, disk_gib=4, **columns))
        session.add(Server(id="s-2", name="two", vcpus=2, ram_mib=1024, disk_gib=5, task_state="rebooting", **columns))
        session.add(Server(id="s-3", name="gone", vcpus=1, ram_mib=1, disk_gib=1, deleted_at=utcnow(), **columns))
        session.flush()
        session.get_one(Server, "s-1").task_state = None
        session.get_one(Host, "host2").up = False
        unknown = session.get_one(Host, "host3")
        unknown.info, unknown.vcpus, unknown.memory_mib, unknown.disk_gib = {}, 0, 0, 0


@pytest.fixture
def nova(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def detail(nova: Nova, version: str, name: str = "host1", query: str = "") -> dict[str, Any]:
    """Return the host's entry in the detailed list, which must equal its own details."""
    answered = nova("GET", f"{PATH}/detail{query}", version=version)
    assert answered.status_code == 200, answered.text
    [found] = [entry for entry in answered.json()["hypervisors"] if entry["hypervisor_hostname"] == name]
    alone: dict[str, Any] = nova("GET", f"{PATH}/{found['id']}{query}", version=version).json()["hypervisor"]
    assert alone == found
    return alone


@pytest.mark.parametrize("version", ["2.1", "2.28", "2.53", "2.75", "2.87"])
def test_a_real_host_is_shown_as_by_nova(nova: Nova, version: str) -> None:
    found = detail(nova, version)
    number = found.pop("id")
    assert isinstance(number, str if version >= "2.53" else int)
    cpu_info = found.pop("cpu_info")
    assert (json.loads(cpu_info) if version == "2.1" else cpu_info) == answer()["cpu_info"]
    assert found == CAPACITY | {
        "hypervisor_hostname": "host1",
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7002022,
        "host_ip": "192.0.2.1",
        "state": "up",
        "status": "enabled",
        "service": {"id": number, "host": "host1", "disabled_reason": None},
    }


@pytest.mark.parametrize(
    ("variables", "observed", "shown"),
    [
        ({"ansible_host": "198.51.100.7"}, True, "198.51.100.7"),
        ({"ansible_host": "2001:db8::7"}, False, "2001:db8::7"),
        ({"ansible_host": "fe80::7%eth0"}, False, "fe80::7"),
        ({"ansible_host": "host1.example.org"}, True, "192.0.2.11"),
        ({}, True, "192.0.2.11"),
        ({"ansible_host": "host1.example.org"}, False, "0.0.0.0"),
        ({"ansible_host": 7}, False, "0.0.0.0"),
    ],
)
def test_the_ip_of_a_host_is_an_address(
    api: Api, nova: Nova, variables: dict[str, Any], observed: bool, shown: str
) -> None:
    """As in Nova, whose field is an IPAddressField: https://docs.openstack.org/nova/latest/configuration/config.html#DEFAULT.my_ip."""
    with api.cloud.database.write() as session:
        host = session.get_one(Host, "host2")
        before = host.variables, host.info
        host.variables, host.info = variables, host.info if observed else {}
    assert detail(nova, "2.88", "host2")["host_ip"] == shown
    with api.cloud.database.write() as session:
        host = session.get_one(Host, "host2")
        host.variables, host.info = before


def test_since_2_88_the_details_have_the_uptime_but_no_capacity(nova: Nova) -> None:
    found = detail(nova, "2.88")
    assert found.keys().isdisjoint(CAPACITY.keys() | {"cpu_info"})
    assert found["uptime"] == answer()["uptime"]
    assert detail(nova, "2.88", "host2")["uptime"] is None, "a host that is down does not say it"
    for path in ("statistics", f"{found['id']}/uptime"):
        assert nova("GET", f"{PATH}/{path}", version="2.88").status_code == 404
        assert nova("GET", f"{PATH}/{path}", version="2.87").status_code == 200


def test_the_uptime_of_a_host_that_is_down_is_unavailable(nova: Nova) -> None:
    found = nova("GET", f"{PATH}/{detail(nova, '2.53')['id']}/uptime", version="2.53").json()["hypervisor"]
    assert found.keys() == {"id", "hypervisor_hostname", "state", "status", "uptime"}
    assert found["uptime"] == answer()["uptime"]
    refused = nova("GET", f"{PATH}/{detail(nova, '2.53', 'host2')['id']}/uptime", version="2.53")
    assert refused.status_code == 400
    assert refused.json()["badRequest"]["message"] == "Compute service of host2 is unavailable at this time."


def test_a_host_that_was_never_observed_has_no_values(nova: Nova) -> None:
    found = detail(nova, "2.28", "host3")
    assert (found["hypervisor_version"], found["cpu_info"], found["vcpus"]) == (0, {}, 0)
    assert found["disk_available_least"] is None


def test_statistics_are_the_sums_over_enabled_hosts(api: Api, nova: Nova) -> None:
    total = nova("GET", f"{PATH}/statistics", version="2.87").json()["hypervisor_statistics"]
    assert total == CAPACITY | {
        "count": 3,
        "vcpus": 4,
        "memory_mb": 18610,
        "free_ram_mb": 18610 - 1536,
        "local_gb": 502,
        "free_disk_gb": 502 - 9,
        "disk_available_least": 152,
    }
    set_states(api, "disabled")
    try:
        total = nova("GET", f"{PATH}/statistics", version="2.87").json()["hypervisor_statistics"]
        assert total == dict.fromkeys([*CAPACITY, "count"], 0)
    finally:
        set_states(api, "enabled")


def set_states(api: Api, state: str) -> None:
    with api.cloud.database.write() as session:
        for name in ("host1", "host2", "host3"):
            session.get_one(Host, name).state = state


@pytest.mark.parametrize("version", ["2.33", "2.52", "2.53", "2.96"])
def test_pages(nova: Nova, version: str) -> None:
    whole = [entry["id"] for entry in nova("GET", PATH, version=version).json()["hypervisors"]]
    for path in (PATH, f"{PATH}/detail"):
        seen, following = list[Any](), f"{path}?limit=1"
        while following:
            page = nova("GET", following, version=version).json()
            seen += [entry["id"] for entry in page["hypervisors"]]
            links = page.get("hypervisors_links", [])
            assert [link["rel"] for link in links] == ["next"] * len(links)
            following = links[0]["href"] if links else ""
        assert seen == whole and len(seen) == 3
    refused = nova("GET", f"{PATH}?marker=nothing", version=version)
    assert refused.status_code == 400 and "marker [nothing] not found" in refused.text


def test_before_2_33_there_are_no_pages(nova: Nova) -> None:
    assert len(nova("GET", f"{PATH}?limit=1&marker=x", version="2.32").json()["hypervisors"]) == 3


def test_servers_are_listed_on_request(nova: Nova) -> None:
    servers = [{"name": f"instance-{name}", "uuid": name} for name in ("s-1", "s-2")]
    for version in ("2.53", "2.74", "2.75", "2.96"):
        assert "servers" not in detail(nova, version)
        assert detail(nova, version, query="?with_servers=True")["servers"] == servers
        without = detail(nova, version, "host2", "?with_servers=1")
        assert without.get("servers") == ([] if version >= "2.75" else None)
    assert "servers" not in detail(nova, "2.52", query="?with_servers=True")
    [old] = nova("GET", f"{PATH}/host1/servers", version="2.52").json()["hypervisors"]
    assert old["servers"] == servers and isinstance(old["id"], int)
    assert nova("GET", f"{PATH}/host1/servers", version="2.53").status_code == 404


def test_search_by_name(nova: Nova) -> None:
    for path, version in ((f"{PATH}/ost/search", "2.52"), (f"{PATH}?hypervisor_hostname_pattern=ost", "2.53")):
        assert len(nova("GET", path, version=version).json()["hypervisors"]) == 3
    for path, version in ((f"{PATH}/x/search", "2.52"), (f"{PATH}?hypervisor_hostname_pattern=x", "2.53")):
        assert nova("GET", path, version=version).status_code == 404
    for query in ("limit=1", "marker=x"):
        refused = nova("GET", f"{PATH}?hypervisor_hostname_pattern=host&{query}", version="2.53")
        assert refused.status_code == 400 and "is not supported" in refused.text


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [
        ("/17", "2.53", 400),
        ("/nothing", "2.52", 404),
        ("/17", "2.52", 404),
        ("/0a0b0c0d-0000-4000-8000-000000000004", "2.53", 404),
        ("?with_servers=maybe", "2.53", 400),
        ("?nonsense=1", "2.53", 400),
        ("?nonsense=1", "2.52", 200),
        ("?hypervisor_hostname_pattern=a%25b", "2.53", 400),
        ("?limit=-1", "2.33", 400),
    ],
)
def test_refused_requests(nova: Nova, path: str, version: str, status: int) -> None:
    assert nova("GET", PATH + path, version=version).status_code == status


def test_a_quarantined_host_is_disabled_with_the_reason(api: Api, nova: Nova) -> None:
    with api.cloud.database.write() as session:
        host = session.get_one(Host, "host3")
        host.quarantined_at, host.unreachable = utcnow(), "no route"
    try:
        found = detail(nova, "2.53", "host3")
        assert found["status"] == "disabled"
        assert found["service"]["disabled_reason"] == "AUTO: host3 is unreachable: no route"
    finally:
        with api.cloud.database.write() as session:
            session.get_one(Host, "host3").quarantined_at = None


def test_the_client_shows_them(api: Api, tmp_path: Any) -> None:
    environment = openstack_shell.of_demo(api.url, tmp_path) | {"OS_USERNAME": "admin", "OS_PROJECT_NAME": "admin"}
    listed = json.loads(openstack_shell.openstack(environment, "hypervisor", "list", "--long", "-f", "json"))
    assert {row["Hypervisor Hostname"]: row["State"] for row in listed}["host1"] == "up"
    shown = json.loads(openstack_shell.openstack(environment, "hypervisor", "show", "host1", "-f", "json"))
    assert (shown["hypervisor_version"], shown["uptime"], shown["aggregates"]) == (7002022, "1:41", [])
    assert facts().uptime is not None and shown["load_average"] in facts().uptime
    old = ("--os-compute-api-version", "2.50", "hypervisor")
    total = json.loads(openstack_shell.openstack(environment, *old, "stats", "show", "-f", "json"))
    assert total["memory_mb"] == 18610
