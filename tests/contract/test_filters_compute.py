"""Filters of compute's lists compare the shown values; users and microversions are as in Nova."""

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.filter_helpers import BOTH, NEW, NONE, OLD, SHOWN, A, Ask, B, Rows, parameters
from skywright.db.jobs import Host
from skywright.services.compute.server_filters import FILTERS
from skywright.services.compute.server_queries import SCOPE
from skywright.services.compute.tables import Server


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return Ask(api, admin)


@pytest.fixture(scope="module")
def servers(api: Api) -> Rows:
    """Two servers of demo. a: on host1 in zone east, stopped, old, locked, tagged...; b: a new one with defaults."""
    add_hosts(api.cloud, "host1", "host2")
    with api.cloud.database.write() as session:
        host = session.get_one(Host, "host1")
        host.variables = {**host.variables, "skywright_availability_zone": "east"}
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        fixtures, nova, ids = make_fixtures(api, admin, demo), Nova(demo, api.url), []
        assert nova("POST", "/os-keypairs", {"keypair": {"name": "key-a"}}, version="2.91").status_code == 201
        flavor = admin.compute.create_flavor(name="other", vcpus=1, ram=256, disk=1).id
        for name, more in (
            ("web-a", {"key_name": "key-a", "tags": ["x", "y"], "accessIPv4": "192.0.2.7"}),
            ("db-b", {"flavorRef": flavor, "tags": ["y", 'q"x'], "OS-DCF:diskConfig": "AUTO"}),
        ):
            answer = nova("POST", "/servers", fixtures.body(name, **more))
            ids.append(answer.json()["server"]["id"])
        run_jobs(api.cloud)
        user, project = demo.current_user_id, demo.current_project_id
    names = {"image": fixtures.image, "flavor": fixtures.flavor, "user": user, "project": project}
    with api.cloud.database.write() as session:
        a, b = (session.get_one(Server, identifier) for identifier in ids)
        a.host, b.host = "host1", "host2"
        a.status, a.power_state, a.power = "SHUTOFF", 4, "shutoff"
        a.created_at = a.launched_at = OLD
        a.deleted_at = b.deleted_at = None
        a.description, a.locked_by, a.access_ipv6 = "The first", "owner", "2001:db8::7"
        a.launch_index, a.task_state, a.config_drive = 3, "powering-off", False
        b.image_id, b.updated_at = None, NEW
        session.flush()
        a.updated_at = OLD
        names |= {"reservation": a.reservation_id, "a": a.id}
    with api.connect("demo", "demo") as demo:
        [port] = demo.network.ports(device_id=ids[0])
        names["ip"] = port.fixed_ips[0]["ip_address"]
    return Rows(*ids, names)


SERVERS = [
    ("name=web", A),
    ("name=^WEB-", A),
    ("name=-", BOTH),
    ("name=nothing", NONE),
    ("display_name=db", B),
    ("description=first", A),
    ("display_description=The+f", A),
    ("reservation_id=<reservation>", A),
    ("image=<image>", A),
    ("image=http://x/images/<image>", A),
    ("image_ref=<image>", A),
    ("image=nothing", NONE),
    ("flavor=<flavor>", A),
    ("flavor=nothing", NONE),
    ("ip=^<ip>$", A),
    ("ip=10.9.", BOTH),
    ("ip6=fe80", NONE),
    ("status=SHUTOFF", A),
    ("status=active&status=shutoff", BOTH),
    ("status=nonsense&status=active", B),
    ("status=PAUSED", NONE),
    ("tags=x,y", A),
    ("tags=y", BOTH),
    ("tags=x", A),
    ("tags-any=x,z", A),
    ("not-tags=x,y", B),
    ("not-tags-any=x", B),
    ("locked=true", A),
    ("locked=0", B),
    ("locked_by=owner", A),
    ("changes-since=2025-01-01T00:00:00Z", B),
    ("changes-before=2025-01-01T00:00:00Z", A),
    (f"changes-before={SHOWN}", A),
    ("changes-since=2019-01-01T00:00:00Z&changes-before=2025-01-01T00:00:00%2B00:00", A),
    ("availability_zone=east", A),
    ("availability_zone=nova", B),
    ("availability_zone=south", NONE),
    ("config_drive=true", B),
    ("config_drive=False", A),
    ("key_name=key", A),
    (f"created_at={SHOWN}", A),
    ("created_at=2020-01-02T04:04:05%2B01:00", A),
    ("created_at=^2020-01", A),
    ("created_at=2021", NONE),
    ("launched_at=2020-01-02T03:04:05.678901", A),
    ("launched_at=2019-01-01T00:00:00", NONE),
    ("terminated_at=2020", NONE),
    ("power_state=4", A),
    ("power_state=1", B),
    ("power_state=x", NONE),
    ("task_state=powering-off", A),
    ("vm_state=stopped", A),
    ("vm_state=ACTIVE", B),
    ("vm_state=nonsense", NONE),
    ("progress=0", BOTH),
    ("progress=50", NONE),
    ("user_id=<user>", BOTH),
    ("user_id=nobody", NONE),
    ("hostname=web", A),
    ("uuid=<a>", A),
    ("host=host1", A),
    ("host=host", NONE),
    ("node=host2", B),
    ("node=host", BOTH),
    ("launch_index=3", A),
    ("launch_index=x", NONE),
    ("access_ip_v4=192.0.2", A),
    ("access_ip_v6=2001:db8", A),
    ("auto_disk_config=AUTO", B),
    ("auto_disk_config=false", A),
    ("root_device_name=/dev/vda", BOTH),
    ("root_device_name=/dev/zzz", NONE),
    ("kernel_id=x", NONE),
    ("ramdisk_id=x", NONE),
    ("project_id=<project>", BOTH),
    ("project_id=other", NONE),
    ("tenant_id=other", NONE),
    ("deleted=false", BOTH),
    ("deleted=true", NONE),
    ("deleted=nonsense", BOTH),
    ("soft_deleted=true", BOTH),  # no server is ever soft deleted in this cloud
]


@pytest.mark.parametrize(("query", "expected"), SERVERS)
@pytest.mark.parametrize("path", ["servers", "servers/detail"])
def test_servers(ask: Ask, servers: Rows, path: str, query: str, expected: str) -> None:
    assert ask.found(f"compute/v2.1/{path}", servers, f"all_tenants=1&{query}") == expected


def test_all_filters_of_servers_are_tested() -> None:
    assert FILTERS.keys() | SCOPE == parameters([*SERVERS, ("all_tenants=1", "")])


# https://docs.openstack.org/api-ref/compute/#list-servers: the microversions from which all users may use a filter.
EVERYONE = {
    "name=web": 1,
    "reservation_id=<reservation>": 1,
    "image=<image>": 1,
    "flavor=<flavor>": 1,
    "ip=^<ip>$": 1,
    "status=SHUTOFF": 1,
    "ip6=^<ip>$": 5,
    "tags=x": 26,
    "changes-before=2025-01-01T00:00:00Z": 66,
    "locked=true": 73,
    "availability_zone=east": 83,
    "config_drive=False": 83,
    "key_name=key": 83,
    f"created_at={SHOWN}": 83,
    "launched_at=2020": 83,
    "power_state=4": 83,
    "task_state=powering-off": 83,
    "vm_state=stopped": 83,
    "hostname=web": 90,
}


@pytest.mark.parametrize(("query", "since"), EVERYONE.items())
def test_filters_for_everyone(api: Api, demo: Connection, servers: Rows, query: str, since: int) -> None:
    for version, expected in ((since, A), (since - 1, BOTH)):
        if version:
            assert Ask(api, demo).found("compute/v2.1/servers", servers, query, f"2.{version}") == expected, version


@pytest.mark.parametrize(
    "query",
    [
        "host=host1",
        "node=host1",
        "uuid=<a>",
        "description=first",
        "display_name=web",
        "launch_index=3",
        "root_device_name=zzz",
        "access_ip_v4=192.0.2",
        "locked_by=owner",
        "auto_disk_config=AUTO",
        "metadata=x",
        "deleted=true",
    ],
)
def test_filters_for_administrators_are_ignored(api: Api, demo: Connection, servers: Rows, query: str) -> None:
    assert Ask(api, demo).found("compute/v2.1/servers", servers, query) == BOTH


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=nonsense", 400),
        ("status=DELETED", 403),
        ("name=(", 400),
        ("node=(", 400),  # ignored, but invalid as an expression
        ("locked=perhaps", 400),
        ("config_drive=perhaps", 400),
        ("changes-since=yesterday", 400),
        ("changes-since=2025-01-01T00:00:00Z&changes-before=2024-01-01T00:00:00Z", 400),
        ("all_tenants=perhaps", 400),
        ("all_tenants=1", 403),
        ("instance_name=x", 400),
        ("nonsense=x", 400),
        ("sort_key=nonsense", 400),
        ("sort_key=vcpus", 400),
        ("sort_key=host", 403),
        ("sort_key=name&sort_dir=up", 400),
        ("sort_key=display_name&sort_dir=asc&sort_dir=asc", 400),
    ],
)
def test_refused_queries_of_servers(api: Api, demo: Connection, servers: Rows, query: str, status: int) -> None:
    assert Nova(demo, api.url)("GET", f"/servers?{query}").status_code == status


def test_joined_tables_are_no_filters(api: Api, admin: Connection, servers: Rows) -> None:
    for name in ("metadata", "system_metadata", "security_groups", "_internal"):
        answer = Nova(admin, api.url)("GET", f"/servers?{name}=x")
        assert answer.status_code == 400 and answer.json()["badRequest"]["message"] == f"Invalid filter field: {name}."


@pytest.mark.parametrize("query", ["nonsense=x", "instance_name=x", "sort_key=vcpus", "status=nonsense&status=active"])
def test_older_microversions_ignore_unknown_filters(api: Api, demo: Connection, servers: Rows, query: str) -> None:
    assert Nova(demo, api.url)("GET", f"/servers?{query}", version="2.74").status_code == 200


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("availability_zone", ["web-a", "db-b"]),  # east, nova
        ("auto_disk_config", ["db-b", "web-a"]),
        ("display_name", ["db-b", "web-a"]),
        ("launch_index", ["db-b", "web-a"]),
        ("locked", ["db-b", "web-a"]),
        ("host", ["web-a", "db-b"]),
        ("progress", ["web-a", "db-b"]),  # equal for both: the older first
        ("created_at", ["web-a", "db-b"]),
    ],
)
def test_sort_keys(api: Api, admin: Connection, servers: Rows, key: str, expected: list[str]) -> None:
    answer = Nova(admin, api.url)("GET", f"/servers?all_tenants=1&sort_key={key}&sort_dir=asc")
    assert [server["name"] for server in answer.json()["servers"]] == expected


def test_a_server_without_a_host_shows_the_requested_zone(api: Api, admin: Connection, servers: Rows) -> None:
    with api.cloud.database.write() as session:
        server = session.get_one(Server, servers.b)
        server.host, server.availability_zone = None, "west"
    nova = Nova(admin, api.url)
    shown = nova("GET", f"/servers/{servers.b}").json()["server"]
    [listed] = nova("GET", "/servers?all_tenants=1&availability_zone=west").json()["servers"]
    assert shown["OS-EXT-AZ:availability_zone"] == "west" and listed["id"] == servers.b
    with api.cloud.database.write() as session:
        server = session.get_one(Server, servers.b)
        server.host, server.availability_zone = "host2", None


@pytest.fixture(scope="module")
def flavors(api: Api) -> Rows:
    with api.connect() as admin:
        a = admin.compute.create_flavor(name="flavor-a", vcpus=1, ram=512, disk=5).id
        b = admin.compute.create_flavor(name="flavor-b", vcpus=1, ram=64, disk=1, is_public=False).id
    return Rows(a, b, {})


FLAVORS = [
    ("is_public=None", BOTH),
    ("is_public=none&minRam=512", A),
    ("is_public=None&minRam=513", NONE),
    ("is_public=None&minDisk=2", A),
    ("is_public=None&minDisk=-1", BOTH),
    ("is_public=true", A),
    ("is_public=0", B),
    ("", A),
]


@pytest.mark.parametrize(("query", "expected"), FLAVORS)
@pytest.mark.parametrize("path", ["flavors", "flavors/detail"])
def test_flavors(ask: Ask, flavors: Rows, path: str, query: str, expected: str) -> None:
    assert ask.found(f"compute/v2.1/{path}", flavors, query) == expected


def test_others_see_no_private_flavors(api: Api, demo: Connection, flavors: Rows) -> None:
    for query in ("is_public=None", "is_public=false"):
        assert Ask(api, demo).found("compute/v2.1/flavors", flavors, query) == A


@pytest.mark.parametrize("query", ["minRam=x", "minDisk=x", "is_public=perhaps", "sort_dir=up", "name=x"])
def test_refused_queries_of_flavors(api: Api, admin: Connection, query: str) -> None:
    assert Nova(admin, api.url)("GET", f"/flavors?{query}").status_code == 400


def test_compute_hosts(api: Api, admin: Connection, servers: Rows) -> None:
    nova = Nova(admin, api.url)
    for path, key, name, queries in (
        ("os-hypervisors", "hypervisors", "hypervisor_hostname", {"hypervisor_hostname_pattern=st1": ["host1"]}),
        (
            "os-services",
            "services",
            "host",
            {"host=host1": ["host1"], "host=host": [], "binary=nova-compute": ["host1", "host2"], "binary=x": []},
        ),
    ):
        for query, expected in queries.items():
            answer = nova("GET", f"/{path}?{query}").json()
            assert [row[name] for row in answer[key]] == expected, query
    for query in ("hypervisor_hostname_pattern=host&limit=1", "nonsense=1"):
        assert nova("GET", f"/os-hypervisors?{query}").status_code == 400
    assert nova("GET", "/os-hypervisors?hypervisor_hostname_pattern=x").status_code == 404
    assert nova("GET", "/os-services?nonsense=1").status_code == 400


def test_key_pairs_of_another_user(api: Api, admin: Connection, demo: Connection, servers: Rows) -> None:
    path = f"/os-keypairs?user_id={demo.current_user_id}"
    [pair] = Nova(admin, api.url)("GET", path).json()["keypairs"]
    assert pair["keypair"]["name"] == "key-a"
    assert Nova(admin, api.url)("GET", path, version="2.9").json()["keypairs"] == []
