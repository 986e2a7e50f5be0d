"""Null in bodies: each attribute of every resource either refuses it or gives it OpenStack's meaning.

The allowed values are in the schemas of https://opendev.org/openstack: nova/api/openstack/compute/schemas,
keystone/*/schema.py, glance/api/v2 and the definitions of neutron-lib.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from openstack.connection import Connection

from contract.body_models import CHOOSE, fields, routes, takes_null
from contract.compute_helpers import add_hosts, make_fixtures
from contract.conftest import PASSWORD, Api
from contract.drift_helpers import FakeHosts
from contract.null_table import ANY, GRANTED, MISSING, SERVERS, SERVICE, SUBNET, USERS, Null
from contract.router_helpers import make, make_topology
from skywright.services.image import metadef_schemas, schemas


class Client:
    """Requests of an administrator, and the ids of the resources that were created."""

    ids: dict[str, Any]

    def __init__(self, api: Api, connection: Connection) -> None:
        self.url, self.session = api.url, connection.session
        self.me, self.project = str(connection.current_user_id), str(connection.current_project_id)
        self.count = 0

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        headers |= {"OpenStack-API-Version": "compute 2.96"}
        return self.session.request(f"{self.url}/{path}", method, json=body, headers=headers, raise_exc=False)

    def make(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create a resource and return it; `unique` in the body becomes a unique name."""
        answer = self("POST", path, self.named(body))
        assert answer.ok, answer.text
        return next(iter(answer.json().values())) if len(answer.json()) == 1 else answer.json()

    def named(self, body: Any) -> Any:
        if isinstance(body, dict):
            return {name: self.named(value) for name, value in body.items()}
        self.count += body == "unique"
        return f"null-{self.count}" if body == "unique" else body


@pytest.fixture(scope="module")
def client(api: Api) -> Any:
    with api.connect() as admin, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.cloud, "planner", FakeHosts())
        fixtures = make_fixtures(api, admin, admin)
        add_hosts(api.cloud, "null1")
        client = Client(api, admin)
        ids = {"me": client.me, "project": client.project, "network": fixtures.network, "flavor": fixtures.flavor}
        ids |= {"image": fixtures.image, "server": client.make(SERVERS, fixtures.body("null"))["id"]}
        ids["region"] = client.make("identity/v3/regions", {"region": {}})["id"]
        ids["service"] = client.make(*SERVICE)["id"]
        topology = make_topology(admin, admin)
        ids |= {"external": topology.external, "port": topology.port}
        ids["floating"] = make(admin, "floatingip", floating_network_id=topology.external)["id"]
        client.ids = ids
        yield client


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """Return *value* with ids in place of names: `{network}`."""
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return value.format(**ids) if isinstance(value, str) else value


def names_of(nulls: str) -> set[str]:
    first, *more = nulls.split()
    model = first.rpartition(".")[0]
    return {first, *(f"{model}.{name}" for name in more)}


def test_no_other_attribute_may_be_null() -> None:
    granted = {name for each in GRANTED for name in names_of(each.nulls)}
    assert {name for name, (model, field) in fields().items() if takes_null(model, field)} == granted


def test_every_body_has_a_model() -> None:
    free = {name for name, kind in routes() if name not in CHOOSE and str(kind).startswith("dict")}
    # `{key: value}`; both are the same as in the bodies of several.
    assert free == {"compute PUT /v2.1/flavors/{flavor_id}/os-extra_specs/{key}"}


@pytest.mark.parametrize("case", GRANTED, ids=[f"{each.nulls} {number}" for number, each in enumerate(GRANTED)])
def test_null_has_openstacks_meaning(client: Any, case: Null) -> None:
    ids = client.ids | {"n": 10 + GRANTED.index(case)}
    if case.made is not None:
        ids["id"] = client.make(filled(case.made[0], ids), filled(case.made[1], ids))["id"]
    method, path = filled(case.request, ids).split()
    answer = client(method, path, client.named(filled(case.body, ids)))
    if isinstance(case.shown, int):
        assert answer.status_code == case.shown, answer.text
        return
    assert answer.ok, answer.text
    if case.look:
        answer = client("GET", f"{case.look}/{next(iter(answer.json().values()))['id']}")
    shown = next(iter(answer.json().values()))
    for name, value in case.shown.items():
        if value is ANY:
            assert shown[name] is not None
        else:
            assert shown.get(name, MISSING) == value, (name, shown)


def test_a_user_whose_password_is_null_cannot_log_in(client: Any) -> None:
    user = client.make(USERS, {"user": {"name": "unique", "password": PASSWORD}})["id"]
    login = {"identity": {"methods": ["password"], "password": {"user": {"id": user, "password": PASSWORD}}}}
    assert client("POST", "identity/v3/auth/tokens", {"auth": login}).status_code == 201
    assert client("PATCH", f"{USERS}/{user}", {"user": {"password": None}}).status_code == 200
    assert client("POST", "identity/v3/auth/tokens", {"auth": login}).status_code == 401


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        ("PUT compute/v2.1/servers/{server}/metadata", {"metadata": {"a": None}}),
        ("PUT compute/v2.1/servers/{server}/metadata/a", {"meta": {"a": None}}),
        ("PUT compute/v2.1/servers/{server}/tags", {"tags": [None]}),
        ("POST compute/v2.1/flavors/{flavor}/os-extra_specs", {"extra_specs": {"a": None}}),
        ("PUT compute/v2.1/flavors/{flavor}/os-extra_specs/a", {"a": None}),
        ("POST compute/v2.1/servers/{server}/action", {"reboot": None}),
        ("POST compute/v2.1/servers/{server}/action", {"os-resetState": None}),
        ("POST compute/v2.1/servers/{server}/action", {"os-getConsoleOutput": None}),
        ("PUT identity/v3/projects/{project}/tags", {"tags": [None]}),
        ("PUT networking/v2.0/networks/{network}/tags", {"tags": [None]}),
        ("POST networking/v2.0/subnets", {"subnet": SUBNET | {"dns_nameservers": [None]}}),
    ],
)  # fmt: skip
def test_null_among_values(client: Any, request_: str, body: Any) -> None:
    ids = client.ids | {"n": 9}
    method, path = filled(request_, ids).split()
    answer = client(method, path, filled(body, ids))
    assert answer.status_code == 400, answer.text


def test_actions_with_null(client: Any) -> None:
    server = f"{SERVERS}/{client.ids['server']}"
    assert client("POST", f"{server}/action", {"lock": None}).status_code == 202
    shown = client("GET", server).json()["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, None)


WRITABLE = [name for name, schema in schemas.IMAGE_PROPERTIES.items() if not schema.get("readOnly")]


@pytest.mark.parametrize("name", [*WRITABLE, "a_property"])
def test_null_in_images(client: Any, name: str) -> None:
    granted = name in ("name", "owner", "disk_format", "container_format")
    answer = client("POST", "image/v2/images", {name: None})
    if name == "owner":  # an image without an owner; only administrators may create one
        assert (answer.status_code, answer.json()["owner"]) == (201, None)
    elif granted:
        assert (answer.status_code, answer.json()[name]) == (201, None)
    else:
        assert answer.status_code == 400, answer.text
    image = client("POST", "image/v2/images", {"a_property": "x"}).json()["id"]
    patch = [{"op": "replace", "path": f"/{name}", "value": None}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    answer = client("PATCH", f"image/v2/images/{image}", patch, **headers)
    if name == "id":
        assert answer.status_code == 403
    elif granted:
        assert (answer.status_code, answer.json()[name]) == (200, None)
    else:
        assert answer.status_code == 400, answer.text


METADEFS = {
    "namespaces": (metadef_schemas.NAMESPACE, {"namespace": "unique"}, ("display_name", "description", "owner")),
    "namespaces/{namespace}/objects": (metadef_schemas.OBJECT, {"name": "unique"}, ()),
    "namespaces/{namespace}/properties": (
        metadef_schemas.PROPERTY,
        {"name": "unique", "title": "t", "type": "string"},
        ("default",),
    ),
    "namespaces/{namespace}/resource_types": (
        metadef_schemas.RESOURCE_TYPE,
        {"name": "OS::Nova::Server"},
        ("prefix", "properties_target"),
    ),
}


@pytest.mark.parametrize("path", METADEFS)
def test_null_in_metadata_definitions(client: Any, path: str) -> None:
    schema, body, granted = METADEFS[path]
    for name in (name for name, each in schema["properties"].items() if not each.get("readOnly")):
        namespace = client.make("image/v2/metadefs/namespaces", {"namespace": "unique"})["namespace"]
        place = f"image/v2/metadefs/{path}".format(namespace=namespace)
        answer = client("POST", place, client.named(body) | {name: None})
        assert answer.status_code == (201 if name in granted else 400), (name, answer.text)
        if name in granted:
            assert answer.json().get(name) is None
