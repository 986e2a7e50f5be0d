"""Policy files of operators: OpenStack's files can be used completely, and each rule governs its operation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, add_hosts, make_fixtures
from contract.conftest import Api, Client
from contract.identity_helpers import unique
from skywright.services.compute import server_details, servers
from skywright.services.compute.tables import Server

OPENSTACK = Path(__file__).parents[1] / "unit" / "policies"
EVERYONE, NOBODY = "role:reader", "!"


class Files:
    """The policy files of an API."""

    def __init__(self, root: Path) -> None:
        self.root, self.written = root, set[Path]()

    def write(self, text: str, service: str | None = None) -> None:
        """Write policy.yaml, or the file of one service."""
        path = self.root / (f"policy.d/{service}/policy.yaml" if service else "policy.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.written.add(path)


@pytest.fixture
def files(api: Api) -> Iterator[Files]:
    found = Files(api.cloud.settings.root)
    yield found
    for path in found.written:
        path.unlink()


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def user(api: Api, demo: Connection, admin: Connection, fixtures: Fixtures) -> Client:
    """The user demo, with a server, a network, a port and an image."""
    server = Client(api, demo)("POST", "/compute/v2.1/servers", fixtures.body()).json()["server"]["id"]
    image = demo.image.post("/images", json={"name": "own"}).json()["id"]
    port = Client(api, demo)("POST", "/networking/v2.0/ports", {"port": {"network_id": fixtures.network}}).json()[
        "port"
    ]["id"]
    ids = {"server": server, "network": fixtures.network, "image": image, "port": port}
    return Client(api, demo, **ids, user=demo.current_user_id, project=demo.current_project_id)


LIST_SERVICES, AVAILABILITIES = "os_compute_api:os-services:list", "/networking/v2.0/network-ip-availabilities"
SERVERS = "/compute/v2.1/servers"
PORT = "/networking/v2.0/ports/{port}"
CASES = [
    # rule, its new check, the request, the status before and after
    ("identity:list_users", "rule:admin_required or role:member", "GET /identity/v3/users", 403, 200),
    ("identity:get_project", "rule:admin_required", "GET /identity/v3/projects/{project}", 200, 403),
    ("identity:get_user", "rule:admin_required", "GET /identity/v3/users/{user}", 200, 403),
    ("admin_required", "role:member", "GET /identity/v3/services", 403, 200),
    ("os_compute_api:os-hypervisors:list", "rule:admin_or_owner", "GET /compute/v2.1/os-hypervisors", 403, 200),
    ("os_compute_api:servers:index", NOBODY, "GET /compute/v2.1/servers", 200, 403),
    ("os_compute_api:servers:detail:get_all_tenants", EVERYONE, f"GET {SERVERS}/detail?all_tenants=1", 403, 200),
    ("os_compute_api:servers:show", "rule:admin_api", "GET /compute/v2.1/servers/{server}", 200, 403),
    ("os_compute_api:ips:index", "user_id:%(user_id)s", f"GET {SERVERS}/{{server}}/ips", 200, 200),
    ("os_compute_api:server-metadata:index", NOBODY, "GET /compute/v2.1/servers/{server}/metadata", 200, 403),
    ("context_is_admin", "role:member", "GET /compute/v2.1/os-services", 403, 200),
    ("get_network", "rule:admin_only", "GET /networking/v2.0/networks/{network}", 200, 404),
    ("update_network", NOBODY, "PUT /networking/v2.0/networks/{network}", 200, 403),
    ("create_network:shared", "rule:regular_user", "POST /networking/v2.0/networks", 403, 201),
    ("update_port:binding:host_id", "rule:admin_or_network_owner", "PUT /networking/v2.0/ports/{port}", 403, 200),
    ("get_network_ip_availability", "rule:owner", f"GET {AVAILABILITIES}", 403, 200),
    ("get_images", NOBODY, "GET /image/v2/images", 200, 403),
    ("get_image", "rule:context_is_admin", "GET /image/v2/images/{image}", 200, 404),
    ("publicize_image", "rule:default", "POST /image/v2/images", 403, 201),
    ("add_metadef_namespace", EVERYONE, "POST /image/v2/metadefs/namespaces", 403, 201),
    ("operations:hosts:list", EVERYONE, "GET /v1/hosts", 403, 200),
]
BODIES = {
    "PUT /networking/v2.0/networks/{network}": {"network": {"description": "new"}},
    "POST /networking/v2.0/networks": {"network": {"name": "shared", "shared": True}},
    "PUT /networking/v2.0/ports/{port}": {"port": {"binding:host_id": "host1"}},
    "POST /image/v2/images": {"name": "everyone's", "visibility": "public"},
    "POST /image/v2/metadefs/namespaces": {"namespace": unique("namespace")},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_rule_in_the_file_is_enforced(case: tuple[str, str, str, int, int], user: Client, files: Files) -> None:
    rule, check, request_line, before, after = case
    method, path = request_line.split(" ")
    assert user(method, path, BODIES.get(request_line)).status_code == before
    # The file also has rules of services that this cloud does not have, and references to them.
    files.write(f'"volume:create": "rule:xena_system_admin_or_project_member"\n"{rule}": "{check}"\n')
    answer = user(method, path, BODIES.get(request_line))
    assert answer.status_code == after, answer.text


def test_rules_hide_or_show_attributes(user: Client, files: Files) -> None:
    attributes = {
        "/compute/v2.1/servers/{server}": ("server", "OS-EXT-SRV-ATTR:host"),
        "/networking/v2.0/networks/{network}": ("network", "provider:network_type"),
        PORT: ("port", "binding:vif_type"),
    }
    for path, (name, attribute) in attributes.items():
        assert attribute not in user("GET", path).json()[name]
    files.write(
        '"os_compute_api:os-extended-server-attributes": "rule:admin_or_owner"\n'
        '"get_network:provider:network_type": "rule:admin_or_owner"\n'
        '"get_port:binding:vif_type": "rule:admin_or_owner"\n'
    )
    for path, (name, attribute) in attributes.items():
        assert attribute in user("GET", path).json()[name]


@pytest.mark.parametrize(
    ("path", "key", "message"),
    [
        (
            "/compute/v2.1/os-services",
            "forbidden",
            f"Policy doesn't allow {LIST_SERVICES} to be performed.",
        ),
        (
            "/identity/v3/services",
            "error",
            "You are not authorized to perform the requested action: identity:list_services.",
        ),
        (
            AVAILABILITIES,
            "NeutronError",
            "rule:get_network_ip_availability is disallowed by policy",
        ),
        ("/image/v2/tasks", None, "You are not authorized to complete tasks_api_access action."),
        ("/v1/hosts", "error", "Policy doesn't allow operations:hosts:list to be performed."),
    ],
)
def test_a_refusal_has_the_message_of_its_service(path: str, key: str | None, message: str, user: Client) -> None:
    body = user("GET", path).json()
    assert (body[key] if key else body)["message"] == message


def test_complete_files_of_openstack_change_only_the_rules_that_differ(
    user: Client, admin: Connection, api: Api, files: Files
) -> None:
    """The complete files of four services; some rules have the same name and another meaning."""
    requests = [case[2].split(" ") for case in CASES if case[2].startswith("GET")]
    before = [user(method, path).status_code for method, path in requests]
    for file in OPENSTACK.glob("*.yaml"):
        files.write(file.read_text(), file.stem)
    assert [user(method, path).status_code for method, path in requests] == before
    assert Client(api, admin)("GET", "/compute/v2.1/os-hypervisors").status_code == 200


def test_a_file_of_one_service_does_not_affect_others(user: Client, files: Files) -> None:
    files.write('"context_is_admin": "role:member"\n', "compute")
    assert user("GET", "/compute/v2.1/os-services").status_code == 200
    assert user("GET", AVAILABILITIES).status_code == 403
    assert user("GET", "/image/v2/tasks").status_code == 403


def test_policy_of_ports_applies_to_ports_of_new_servers(user: Client, admin: Connection, fixtures: Fixtures) -> None:
    """Users cannot choose an address on a network of another project, as with `openstack port create`."""
    network = admin.network.create_network(name="everyones", shared=True)
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.8.0.0/24")
    wish = {"uuid": network.id, "fixed_ip": "10.8.0.9"}
    answer = user("POST", "/compute/v2.1/servers", fixtures.body(networks=[wish]))
    assert answer.status_code == 403
    body = {"port": {"network_id": network.id, "fixed_ips": [{"ip_address": "10.8.0.9"}]}}
    refused = user("POST", "/networking/v2.0/ports", body)
    assert refused.json()["NeutronError"]["message"] == (
        "(rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:ip_address)))"
        " is disallowed by policy"
    )


def test_a_handler_that_does_not_enforce_its_rule_fails(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers enforce rules on targets; without that the request fails and nothing is stored."""
    for module in (servers, server_details):
        monkeypatch.setattr(
            module, "find_server", lambda context, server_id: context.visible(Server, server_id, "Instance")
        )
    assert user("GET", f"{SERVERS}/{{server}}/ips").status_code == 500
    assert user("PUT", f"{SERVERS}/{{server}}", {"server": {"name": "renamed"}}).status_code == 500
    monkeypatch.undo()
    assert user("GET", f"{SERVERS}/{{server}}").json()["server"]["name"] == "one"
