"""Regions, services, endpoints, credentials, policy documents; and policy."""

import json
from collections.abc import Iterator

import pytest

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, on_project, unique


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


def test_an_endpoint_is_in_the_catalog(identity: Identity) -> None:
    service = identity.make("service", type=unique("type"))
    fields = {"service_id": service["id"], "interface": "public", "region": unique("region")}
    endpoint = identity.call("POST", "/endpoints", {"endpoint": {**fields, "url": "http://h/$(project_id)s"}}).json()
    assert endpoint["endpoint"]["region_id"] == fields["region"]
    assert identity.call("GET", f"/regions/{fields['region']}").status_code == 200
    token = identity.login("demo").json()["token"]
    entry = next(entry for entry in token["catalog"] if entry["id"] == service["id"])
    assert entry["endpoints"][0]["url"] == f"http://h/{token['project']['id']}"
    assert identity.call("DELETE", f"/regions/{fields['region']}").status_code == 403
    identity.call("PATCH", f"/services/{service['id']}", {"service": {"enabled": False}})
    catalog = identity.login("demo").json()["token"]["catalog"]
    assert service["id"] not in [entry["id"] for entry in catalog]
    assert identity.call("DELETE", f"/services/{service['id']}").status_code == 204
    assert identity.call("GET", f"/endpoints/{endpoint['endpoint']['id']}").status_code == 404
    assert identity.call("DELETE", f"/regions/{fields['region']}").status_code == 204


@pytest.mark.parametrize("form", ["http://h/$(user_id)s/$(tenant_id)s", "http://h/%(user_id)s/%(project_id)s"])
def test_placeholders_in_urls_of_endpoints(identity: Identity, form: str) -> None:
    service = identity.make("service", type=unique("type"))["id"]
    fields = {"service_id": service, "interface": "public", "url": form}
    assert identity.call("POST", "/endpoints", {"endpoint": fields}).status_code == 201
    token = identity.login("demo").json()["token"]
    [entry] = [entry for entry in token["catalog"] if entry["id"] == service]
    assert entry["endpoints"][0]["url"] == f"http://h/{token['user']['id']}/{token['project']['id']}"
    [entry] = [
        entry
        for entry in identity.login("admin", scope={"system": {"all": True}}).json()["token"]["catalog"]
        if entry["id"] == service
    ]
    assert entry["endpoints"] == []  # there is no project that its URL could name


@pytest.mark.parametrize(
    "url", ["http://h/$(bad)s", "http://h/%(bad)s", "http://h/%(project_id", "http://h/$(user_id)d"]
)
def test_unknown_placeholders_are_refused(identity: Identity, url: str) -> None:
    service = identity.call("GET", "/services?type=identity").json()["services"][0]["id"]
    message = f"Invalid input for field 'endpoint/url': Cannot create an endpoint with an invalid URL: {url}."
    answer = identity.call(
        "POST", "/endpoints", {"endpoint": {"service_id": service, "interface": "public", "url": url}}
    )
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)
    endpoint = identity.call("GET", f"/endpoints?service_id={service}").json()["endpoints"][0]["id"]
    assert identity.call("PATCH", f"/endpoints/{endpoint}", {"endpoint": {"url": url}}).status_code == 400


def test_unknown_properties_are_refused(identity: Identity) -> None:
    me = identity.login("demo").json()["token"]["user"]["id"]
    trust = {"trustor_user_id": me, "trustee_user_id": me, "impersonation": False, "colour": "red"}
    rule = {"service": "compute", "method": "GET", "path": "/", "colour": "red"}
    for path, body in (
        ("/users", {"user": {"name": unique("user")}, "colour": "red"}),
        ("/projects", {"project": {"name": unique("project")}, "colour": "red"}),
        ("/OS-TRUST/trusts", {"trust": trust}),
        (f"/users/{me}/application_credentials", {"application_credential": {"name": "a", "colour": "red"}}),
        (f"/users/{me}/application_credentials", {"application_credential": {"name": "a", "access_rules": [rule]}}),
    ):
        answer = identity.call("POST", path, body)
        assert answer.status_code == 400
        message = "Additional properties are not allowed ('colour' was unexpected)"
        assert answer.json()["error"]["message"].endswith(message)


@pytest.mark.parametrize(
    "change", [{"interface": "secret"}, {"url": ""}, {"url": "no-url"}, {"service_id": "no"}, {"region_id": "no"}]
)
def test_invalid_endpoints_are_refused(identity: Identity, change: dict[str, str]) -> None:
    service = identity.call("GET", "/services?type=identity").json()["services"][0]["id"]
    endpoint = {"service_id": service, "interface": "public", "url": "http://h", **change}
    assert identity.call("POST", "/endpoints", {"endpoint": endpoint}).status_code == 400


def test_regions(identity: Identity) -> None:
    name = unique("region")
    assert identity.call("PUT", f"/regions/{name}", {"region": {"description": "here"}}).status_code == 201
    assert identity.call("POST", "/regions", {"region": {"id": name}}).status_code == 409
    child = identity.make("region", parent_region_id=name)["id"]
    listed = identity.call("GET", f"/regions?parent_region_id={name}").json()["regions"]
    assert [row["id"] for row in listed] == [child]
    assert identity.call("PATCH", f"/regions/{name}", {"region": {"parent_region_id": child}}).status_code == 400
    refused = identity.call("DELETE", f"/regions/{name}")
    assert refused.status_code == 409 and "child regions" in refused.text
    assert identity.call("DELETE", f"/regions/{child}").status_code == 204
    assert identity.call("DELETE", f"/regions/{name}").status_code == 204
    assert identity.call("DELETE", "/regions/RegionOne").status_code == 403  # it has endpoints


def test_credentials_are_encrypted_and_belong_to_their_owners(identity: Identity, api: Api) -> None:
    demo, alt = identity.token("demo"), identity.token("alt")
    secret = unique("top-secret")
    body = {"credential": {"type": "totp", "blob": secret}}
    made = identity.call("POST", "/credentials", body, token=demo).json()["credential"]
    path = f"/credentials/{made['id']}"
    assert identity.call("GET", path, token=demo).json()["credential"]["blob"] == secret
    assert identity.call("GET", path, token=alt).status_code == 403
    assert made["id"] not in [
        row["id"] for row in identity.call("GET", "/credentials", token=alt).json()["credentials"]
    ]
    stored = b"".join(path.read_bytes() for path in api.cloud.settings.root.glob("skywright.db*"))
    assert secret.encode() not in stored
    assert identity.call("PATCH", path, {"credential": {"type": "ec2"}}, token=demo).status_code == 400
    assert identity.call("PATCH", path, {"credential": {"blob": "new"}}, token=demo).status_code == 200
    assert identity.call("DELETE", path, token=demo).status_code == 204


def test_ec2_credentials(identity: Identity) -> None:
    user = identity.login("demo").json()["token"]
    path, token = f"/users/{user['user']['id']}/credentials/OS-EC2", identity.token("demo")
    made = identity.call("POST", path, {"tenant_id": user["project"]["id"]}, token=token)
    assert made.status_code == 201
    pair = made.json()["credential"]
    assert identity.call("GET", f"{path}/{pair['access']}", token=token).json()["credential"] == pair
    generic = identity.call("GET", "/credentials?type=ec2", token=token).json()["credentials"]
    assert pair["access"] in [json.loads(row["blob"])["access"] for row in generic]
    generic_path = next(f"/credentials/{row['id']}" for row in generic if pair["access"] in row["blob"])
    for access in ("other", pair["access"]):  # the id in the path was made from the first access key
        body = {"credential": {"blob": json.dumps({"access": access, "secret": "new"})}}
        assert identity.call("PATCH", generic_path, body, token=token).status_code == 200
        assert identity.call("GET", f"{path}/{access}", token=token).json()["credential"]["secret"] == "new"
    pair["secret"] = "new"
    assert identity.call("GET", f"{path}/{pair['access']}", token=token).json()["credential"] == pair
    assert identity.call("GET", f"{path}/{pair['access']}", token=identity.token("alt")).status_code == 403
    assert identity.call("DELETE", f"{path}/{pair['access']}", token=token).status_code == 204
    assert identity.call("GET", f"{path}/{pair['access']}", token=token).status_code == 404


def test_policy_documents(identity: Identity) -> None:
    made = identity.call("POST", "/policies", {"policy": {"type": "text/plain", "blob": "{}"}}).json()["policy"]
    changed = identity.call("PATCH", f"/policies/{made['id']}", {"policy": {"blob": "x"}}).json()["policy"]
    assert changed["blob"] == "x" and changed["type"] == "text/plain"
    assert identity.call("DELETE", f"/policies/{made['id']}").status_code == 204


class Persona:
    """A domain with a user, a project, and another user who has one role on the domain."""

    def __init__(self, identity: Identity, role: str) -> None:
        self.domain = identity.make("domain")["id"]
        self.project = identity.make("project", domain_id=self.domain)["id"]
        self.user = identity.make("user", domain_id=self.domain, password=PASSWORD)["id"]
        other = identity.make("user", domain_id=self.domain, password=PASSWORD)["id"]
        identity.grant(role, other, f"domains/{self.domain}")
        self.token = identity.token(other, scope={"domain": {"id": self.domain}})


def test_a_manager_of_a_domain_manages_only_that_domain(identity: Identity) -> None:
    manager, other = Persona(identity, "manager"), Persona(identity, "manager")
    listed = identity.call("GET", "/users", token=manager.token).json()["users"]
    assert {row["domain_id"] for row in listed} == {manager.domain}
    created = identity.call("POST", "/users", {"user": {"name": unique("u")}}, token=manager.token)
    assert created.status_code == 201 and created.json()["user"]["domain_id"] == manager.domain
    elsewhere = {"user": {"name": unique("u"), "domain_id": other.domain}}
    assert identity.call("POST", "/users", elsewhere, token=manager.token).status_code == 403
    assert identity.call("GET", f"/users/{other.user}", token=manager.token).status_code == 403
    assert identity.call("DELETE", f"/projects/{other.project}", token=manager.token).status_code == 403
    member, admin = identity.role("member"), identity.role("admin")
    own = f"/projects/{manager.project}/users/{manager.user}/roles"
    assert identity.call("PUT", f"{own}/{member}", token=manager.token).status_code == 204
    assert identity.call("PUT", f"{own}/{admin}", token=manager.token).status_code == 403
    for foreign in (
        f"/projects/{other.project}/users/{manager.user}/roles/{member}",
        f"/projects/{manager.project}/users/{other.user}/roles/{member}",
        f"/system/users/{manager.user}/roles/{member}",
    ):
        assert identity.call("PUT", foreign, token=manager.token).status_code == 403
    held = identity.call("GET", "/role_assignments", token=manager.token).json()["role_assignments"]
    places = {row["scope"].get("project", row["scope"].get("domain", {})).get("id") for row in held}
    assert places == {manager.domain, manager.project}
    domains = identity.call("GET", "/domains", token=manager.token).json()["domains"]
    assert [row["id"] for row in domains] == [manager.domain]


def test_a_reader_of_a_domain_changes_nothing(identity: Identity) -> None:
    reader = Persona(identity, "reader")
    assert identity.call("GET", f"/users/{reader.user}", token=reader.token).status_code == 200
    assert identity.call("DELETE", f"/users/{reader.user}", token=reader.token).status_code == 403
    assert identity.call("POST", "/groups", {"group": {"name": "g"}}, token=reader.token).status_code == 403
    assert identity.call("GET", "/services", token=reader.token).status_code == 403


def test_a_reader_of_the_system_sees_all_and_changes_nothing(identity: Identity) -> None:
    user = identity.make("user", password=PASSWORD)["id"]
    identity.grant("reader", user, "system")
    token = identity.token(user, scope={"system": {"all": True}})
    for path in ("users", "projects", "domains", "roles", "services", "role_assignments", "groups", "policies"):
        assert identity.call("GET", f"/{path}", token=token).status_code == 200
    for path in ("domain", "role", "service", "region"):
        body = {path: {"name": unique("x"), "type": "x"}}
        assert identity.call("POST", f"/{path}s", body, token=token).status_code == 403


def test_a_member_sees_only_the_own_user_and_projects(identity: Identity) -> None:
    described = identity.login("demo").json()["token"]
    user, project, token = described["user"]["id"], described["project"]["id"], identity.token("demo")
    alt = identity.login("alt").json()["token"]
    for path in (f"/users/{user}", f"/users/{user}/projects", f"/projects/{project}", "/domains/default", "/regions"):
        assert identity.call("GET", path, token=token).status_code == 200
    for path in (
        "/users",
        "/projects",
        "/domains",
        "/roles",
        "/services",
        "/role_assignments",
        f"/users/{alt['user']['id']}",
        f"/users/{alt['user']['id']}/projects",
        f"/projects/{alt['project']['id']}",
        "/users/no-such-user",
    ):
        assert identity.call("GET", path, token=token).status_code == 403, path
    change = {"user": {"enabled": False}}
    assert identity.call("PATCH", f"/users/{user}", change, token=token).status_code == 403


def test_the_role_admin_on_any_project_is_global(identity: Identity) -> None:
    user, project = identity.make("user", password=PASSWORD)["id"], identity.make("project")["id"]
    identity.grant("admin", user, f"projects/{project}")
    token = identity.token(user, scope=on_project(project))
    assert identity.call("GET", "/users", token=token).status_code == 200


def test_a_changed_policy_file_is_effective_at_once(identity: Identity, api: Api) -> None:
    token, overrides = identity.token("demo"), api.cloud.settings.root / "policy.yaml"
    assert identity.call("GET", "/regions", token=token).status_code == 200
    overrides.write_text('"identity:list_regions": "role:admin"\n')
    try:
        assert identity.call("GET", "/regions", token=token).status_code == 403
        assert identity.call("GET", "/regions").status_code == 200
    finally:
        overrides.unlink()
    assert identity.call("GET", "/regions", token=token).status_code == 200
