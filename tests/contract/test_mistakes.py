"""Invalid bodies: each service answers with its own messages, never with those of the validating library."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.body_models import CHOOSE, routes
from contract.compute_helpers import add_hosts, make_fixtures
from contract.conftest import Api
from skywright.services import registry

PYDANTIC = re.compile(
    r"Input should|String should|validation error|Extra inputs|Field required|(Dictionary|List|Value|Data) should have"
    r"|Value error|JSON decode|pydantic|\[type=|function-(before|after|wrap)",
    re.IGNORECASE,
)
DEEP: Any = [{}]
for _ in range(200):
    DEEP = [{"a": DEEP}]
VALUES = (None, 5, 1.5, True, "x" * 70_000, "\0", [], [None], {"": None}, {"x": [5]}, DEEP, 1 << 63)
# JSON can write it, but neither a database nor a JSON reader takes it.
HALF = "\ud800"
OF_FIELDS = (None, -5, "", "é" * 300, ["x", 5], [{"x": 1}], {"x": [5]}, HALF, {"x": HALF, "y": 1 << 70})
TEXTS = ("", "{", "nonsense", '{"a": NaN}', "[" * 5000, '{"\\ud800": "\\ud800"}', '{"a": 1' + "0" * 5000 + "}", "\xff")
# Requests that access hosts, run something or wait; other requests have the same models.
SLOW = {"operations POST /drift", "operations POST /converge"}


def writes() -> Iterator[tuple[str, str, str]]:
    """(service, method, path) of every route that changes something."""
    for service in registry.services():
        for route in (route for router in service.routers for route in router.routes):
            for method in sorted({"POST", "PUT", "PATCH"} & set(getattr(route, "methods", None) or ())):
                yield service.type, method, route.path  # type: ignore[attr-defined]


def hostile(name: str) -> Iterator[Any]:
    """Yield bodies for the route: values of all types as the body, as its first field, and as each field of that."""
    yield from VALUES
    top = _fields_of(name, "")
    for wrapper in top or ["x"]:
        yield from ({wrapper: value} for value in VALUES)
        yield from ({wrapper: {field: value}} for field in [*_fields_of(name, wrapper), "x"] for value in OF_FIELDS)


def _fields_of(name: str, wrapper: str) -> list[str]:
    kind = dict(routes()).get(name)
    if name in CHOOSE and name.startswith("network"):
        inner = re.sub(r".*/v2\.0/(\w+)s\b.*", r"\1", name)
        return [inner, "tags"] if not wrapper else list(_names(CHOOSE[name][0]))
    if name in CHOOSE:
        return (
            ["reboot", "lock", "os-resetState", "os-getConsoleOutput"] if not wrapper else ["type", "state", "length"]
        )
    model = kind
    if wrapper and hasattr(model, "model_fields"):
        model = next(each.annotation for key, each in model.model_fields.items() if wrapper in (key, each.alias))
    return list(_names(model))


def _names(model: Any) -> Iterator[str]:
    yield from ((each.alias or key) for key, each in getattr(model, "model_fields", {}).items())


class Hostile:
    """Requests of an administrator for one resource of each kind."""

    def __init__(self, api: Api, connection: Connection) -> None:
        self.session, self.api = connection.session, api
        fixtures = make_fixtures(api, connection, connection)
        # Some of the bodies are valid: they must not change users or projects of other tests.
        user, project = connection.identity.create_user(name="hostile"), connection.identity.create_project(name="h")
        self.ids = {"user_id": user.id, "project_id": project.id, "flavor_id": fixtures.flavor, "id": fixtures.network}
        self.ids |= {"name": "host1", "key": "key", "tag": "tag"}
        add_hosts(api.cloud, "host1")
        server = self.send("compute", "POST", "/v2.1/servers", json=fixtures.body())
        self.ids["server_id"] = server.json()["server"]["id"]

    def send(self, service: str, method: str, path: str, **options: Any) -> Any:
        prefix = next(each.prefix for each in registry.services() if each.type == service)
        filled = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: self.ids.get(found[1], self.ids.get("id", "x")), path)
        headers = {"OpenStack-API-Version": "compute 2.96", **options.pop("headers", {})}
        url = f"{self.api.url}{prefix}{filled}"
        return self.session.request(url, method, headers=headers, raise_exc=False, **options)


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[Hostile]:
    with api.connect() as admin:
        yield Hostile(api, admin)


ROUTES = sorted(set(writes()))


@pytest.mark.parametrize(("service", "method", "path"), ROUTES, ids=[" ".join(each) for each in ROUTES])
def test_no_answer_has_messages_of_pydantic(client: Hostile, service: str, method: str, path: str) -> None:
    name = f"{service} {method} {path}"
    for body in hostile(name):
        if name in SLOW and (body == {} or (isinstance(body, dict) and "x" not in body)):
            continue
        answer = client.send(service, method, path, json=body)
        assert answer.status_code < 500, (str(body)[:200], answer.text)
        assert not PYDANTIC.search(answer.text), (str(body)[:200], answer.text)
        assert len(answer.text) < 100_000
    for text in TEXTS:
        for kind in ("application/json", "text/plain"):
            data = text.encode("latin-1")
            answer = client.send(service, method, path, data=data, headers={"Content-Type": kind})
            assert answer.status_code < 500, (text[:200], answer.text)
            assert not PYDANTIC.search(answer.text), (text[:200], answer.text)


LONG = "x" * 300
SHOWN = f"'{'x' * 47}...{'x' * 48}'"


@pytest.mark.parametrize(
    ("request_", "body", "message"),
    [
        ("compute POST /v2.1/servers", {"server": {"name": LONG, "flavorRef": "1"}},
         f"Invalid input for field/attribute name. Value: {SHOWN[1:-1]}. {SHOWN} is too long"),
        ("compute POST /v2.1/servers", {"server": {"name": "a"}},
         "Invalid input for field/attribute server. Value: {'name': 'a'}. 'flavorRef' is a required property"),
        ("compute POST /v2.1/servers", {}, "'server' is a required property"),
        ("compute POST /v2.1/servers",
         {"server": {"name": "a", "flavorRef": "1", "security_groups": [{"name": "web"}]}},
         "Invalid input for field/attribute security_groups. Value: [{'name': 'web'}]. "
         "This cloud has no security groups yet."),
        ("compute POST /v2.1/servers", {"server": {"name": "a", "flavorRef": "1", "user_data": "?"}},
         "Invalid input for field/attribute user_data. Value: ***. '***' is not a 'base64'"),
        ("compute POST /v2.1/servers", {"server": {"name": "a", "flavorRef": "1", "colour": "red"}},
         "Invalid input for field/attribute server. Value: {'colour': 'red', 'flavorRef': '1', 'name': 'a'}. "
         "Additional properties are not allowed ('colour' was unexpected)"),
        ("compute POST /v2.1/servers/{server_id}/action", {"reboot": {"type": "soon"}},
         "Invalid input for field/attribute type. Value: soon. "
         "'soon' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']"),
        ("compute POST /v2.1/servers/{server_id}/action", {"lock": 5},
         "Invalid input for field/attribute lock. Value: 5. 5 is not of type 'object'"),
        ("compute PUT /v2.1/servers/{server_id}/metadata", {"metadata": {"a/b": "c"}},
         "Invalid input for field/attribute metadata. Value: a/b. 'a/b' does not match '^[a-zA-Z0-9\\-_:. ]{1,255}$'"),
        ("compute POST /v2.1/flavors", {"flavor": {"name": "f", "ram": 0, "vcpus": 1, "disk": 1}},
         "Invalid input for field/attribute ram. Value: 0. 0 is less than the minimum of 1"),
        ("compute PUT /v2.1/os-quota-sets/{project_id}", {"quota_set": {"cores": None}},
         "Invalid input for field/attribute cores. Value: None. None is not of type 'integer'"),
        ("identity POST /v3/users", {"user": {"name": "u", "enabled": "yes"}},
         "Invalid input for field 'user/enabled': 'yes' is not of type 'boolean'"),
        ("identity POST /v3/users", {"user": {}}, "Invalid input for field 'user': 'name' is a required property"),
        ("identity POST /v3/users", {"user": {"name": "u", "password": 12345}},
         "Invalid input for field 'user/password': '***' is not of type 'string'"),
        ("identity PUT /v3/projects/{project_id}/tags", {"tags": ["a", "a"]},
         "Invalid input for field 'tags': ['a', 'a'] has non-unique elements"),
        ("network POST /v2.0/networks", {"network": {"name": 5}},
         "Invalid input for name. Reason: 5 is not a valid string."),
        ("network POST /v2.0/networks", {"network": {"name": LONG}},
         f"Invalid input for name. Reason: {SHOWN} exceeds maximum length of 255."),
        ("network POST /v2.0/networks", {"network": {"admin_state_up": "maybe"}},
         "Invalid input for operation: 'maybe' cannot be converted to boolean."),
        ("network POST /v2.0/networks", {"network": {"mtu": "big"}},
         "Invalid input for operation: 'big' is not an integer."),
        ("network POST /v2.0/routers", {"router": {"ha": True}},
         "Invalid input for ha. Reason: This cloud has no highly available routers yet."),
        ("network POST /v2.0/networks", {"network": {"colour": "red"}}, "Unrecognized attribute(s) 'colour'"),
        ("network POST /v2.0/ports", {"port": {}},
         "Failed to parse request. Required attribute 'network_id' not specified"),
        ("network POST /v2.0/ports", {"port": {"network_id": "{id}", "security_groups": ["x"]}},
         "Invalid input for security_groups. Reason: This cloud has no security groups yet."),
        ("network POST /v2.0/ports", {"port": {"network_id": "{id}", "mac_address": "x"}},
         "Invalid input for mac_address. Reason: 'x' is not a valid MAC address."),
        ("network POST /v2.0/ports", {"port": {"network_id": "{id}", "fixed_ips": [{"ip_address": "x"}]}},
         "Invalid input for fixed_ips. Reason: 'x' is not a valid IP address."),
        ("network POST /v2.0/ports", {"port": {"network_id": "{id}", "fixed_ips": [{"colour": "x"}]}},
         "Invalid input for fixed_ips. Reason: Unexpected keys supplied: 'colour'."),
        ("operations PUT /hosts/{name}", {"host": {"state": "asleep"}},
         "Invalid input for field 'host/state': 'asleep' is not one of ['enabled', 'disabled', 'maintenance']"),
    ],
)  # fmt: skip
def test_messages(client: Hostile, request_: str, body: Any, message: str) -> None:
    service, method, path = request_.split()
    if "{id}" in str(body):
        body = {"port": body["port"] | {"network_id": client.ids["id"]}}
    answer = client.send(service, method, path, json=body)
    assert answer.status_code == 400
    told = answer.json()
    assert next(iter(told.values()))["message"] == message


PASSWORD = {"methods": ["password"], "password": {"user": {"name": "x", "domain": {"id": "default"}, "password": HALF}}}
SECRET = {"methods": ["application_credential"], "application_credential": {"id": "x", "secret": HALF}}


@pytest.mark.parametrize("identity", [PASSWORD, SECRET, {"methods": ["token"], "token": {"id": HALF}}])
def test_half_of_a_surrogate_pair_in_a_login(client: Hostile, identity: Any) -> None:
    answer = client.send("identity", "POST", "/v3/auth/tokens", json={"auth": {"identity": identity}})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith("Half of a surrogate pair is not a character.")


def test_half_of_a_surrogate_pair_in_an_old_password(client: Hostile) -> None:
    body = {"user": {"original_password": HALF, "password": "new"}}
    answer = client.send("identity", "POST", "/v3/users/{user_id}/password", json=body)
    assert answer.status_code == 400


def test_invalid_json(client: Hostile) -> None:
    def told(**options: Any) -> str:
        answer = client.send("compute", "POST", "/v2.1/flavors", **options)
        assert answer.status_code == 400
        return str(answer.json()["badRequest"]["message"])

    json = {"Content-Type": "application/json"}
    assert told(data=b"{", headers=json).startswith("Malformed JSON in request body: ")
    assert told(data=b"", headers=json) == "The request has no body."
    assert told(data=b"{}", headers={"Content-Type": "text/plain"}) == (
        "The request body must be JSON, and its Content-Type application/json."
    )


def test_requests_without_a_token_are_refused_before_validation(client: Hostile) -> None:
    answer = client.send("compute", "POST", "/v2.1/flavors", json={}, authenticated=False)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/identity/v3/users/x", "DELETE, GET, HEAD, PATCH"),
        ("PATCH", "/image/v2/images", "DELETE, GET, POST"),
        ("POST", "/networking/v2.0/networks/x", "DELETE, GET, PUT"),
        ("PATCH", "/v1/webhooks/x", "DELETE, GET"),
    ],
)
def test_refused_methods_name_the_allowed_ones(
    admin: Connection, api: Api, method: str, path: str, allowed: str
) -> None:
    answer = admin.session.request(f"{api.url}{path}", method, json={}, raise_exc=False)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
