"""Tokens: issue, scopes, content, revocation; a token ends at once when its user, project or role does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openstack
import pytest
from openstack.connection import Connection

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, on_project, unique
from skywright.cloud import Cloud

OPENSTACK = Path(sys.executable).with_name("openstack")


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.fixture(scope="module")
def member(identity: Identity) -> tuple[str, str]:
    """Return (user id, project id) of a new user with the role member on a project."""
    project = identity.make("project")["id"]
    user = identity.make("user", password=PASSWORD, default_project_id=project)["id"]
    identity.grant("member", user, f"projects/{project}")
    return user, project


def test_a_token_has_user_and_scope(demo: Connection) -> None:
    token = demo.session.get(
        f"{demo.config.config['auth']['auth_url']}/v3/auth/tokens",
        headers={"X-Subject-Token": demo.auth_token},
    ).json()["token"]
    assert token["user"]["name"] == token["project"]["name"] == "demo"
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert {entry["type"] for entry in token["catalog"]} >= {"identity"}
    assert token["issued_at"].endswith("Z") and token["expires_at"] > token["issued_at"]


def test_the_example_with_curl_works(api: Api) -> None:
    body = (
        '{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"demo","domain":{"id":"default"},'
        f'"password":"{PASSWORD}"}}}}}}}}}}'
    )
    answer = subprocess.run(
        ["curl", "-si", "-H", "Content-Type: application/json", "-d", body, f"{api.url}/identity/v3/auth/tokens"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert answer.startswith("HTTP/1.1 201") and "x-subject-token:" in answer.lower()


def test_names_are_case_insensitive(identity: Identity) -> None:
    user = {"name": "DEMO", "domain": {"name": "default"}, "password": PASSWORD}
    scope = {"project": {"name": "Demo", "domain": {"name": "DEFAULT"}}}
    answer = identity.authenticate(scope, password={"user": user})
    assert answer.status_code == 201
    assert answer.json()["token"]["user"]["name"] == "demo"


def test_the_openstack_client_gets_a_token(api: Api) -> None:
    options = {
        "--os-auth-url": f"{api.url}/identity",
        "--os-username": "demo",
        "--os-password": PASSWORD,
        "--os-project-name": "demo",
        "--os-user-domain-name": "Default",
        "--os-project-domain-name": "Default",
    }
    flags = [part for option in options.items() for part in option]
    shown = subprocess.run(
        [str(OPENSTACK), *flags, "token", "issue", "-f", "value", "-c", "id"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(shown.stdout.strip()) > 100


def test_scopes(identity: Identity, member: tuple[str, str]) -> None:
    user, project = member
    domain = identity.make("domain")["id"]
    identity.grant("reader", user, f"domains/{domain}")
    identity.grant("reader", user, "system")
    default = identity.login(user).json()["token"]
    assert default["project"]["id"] == project and default["is_domain"] is False
    on_domain = identity.login(user, scope={"domain": {"id": domain}}).json()["token"]
    assert on_domain["domain"]["id"] == domain and [role["name"] for role in on_domain["roles"]] == ["reader"]
    on_system = identity.login(user, scope={"system": {"all": True}}).json()["token"]
    assert on_system["system"] == {"all": True}
    for unscoped in ("unscoped", {"unscoped": {}}):
        token = identity.login(user, scope=unscoped).json()["token"]
        assert not {"project", "domain", "system", "roles", "catalog"} & token.keys()


@pytest.mark.parametrize(
    "scope",
    [
        {"project": {"name": "admin", "domain": {"id": "default"}}},
        {"project": {"name": "no-such", "domain": {"id": "default"}}},
        {"domain": {"id": "default"}},
        {"domain": {"id": "no-such"}},
        {"system": {"all": True}},
    ],
)
def test_scopes_without_a_role_are_refused_like_unknown_scopes(identity: Identity, scope: object) -> None:
    answer = identity.login("demo", scope=scope)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "The request you have made requires authentication."


def test_a_token_gets_tokens_of_other_scopes_with_the_same_expiry(identity: Identity, member: tuple[str, str]) -> None:
    user, project = member
    first = identity.login(user, scope="unscoped")
    second = identity.authenticate(on_project(project), token={"id": first.headers["x-subject-token"]})
    assert second.status_code == 201
    assert second.json()["token"]["expires_at"] == first.json()["token"]["expires_at"]
    assert set(second.json()["token"]["methods"]) == {"password", "token"}
    assert second.json()["token"]["audit_ids"][1] == first.json()["token"]["audit_ids"][0]


def test_head_get_and_delete(identity: Identity) -> None:
    token = identity.token("demo")
    subject = {"X-Subject-Token": token}
    assert identity.call("HEAD", "/auth/tokens", token=token, headers=subject).status_code == 200
    answer = identity.call("GET", "/auth/tokens", token=token, headers=subject)
    assert answer.status_code == 200 and answer.headers["x-subject-token"] == token
    assert "catalog" not in identity.call("GET", "/auth/tokens?nocatalog", token=token, headers=subject).json()["token"]
    assert identity.call("DELETE", "/auth/tokens", token=token, headers=subject).status_code == 204
    assert identity.call("GET", "/auth/catalog", token=token).status_code == 401
    assert identity.check(token) == 404


def test_projects_and_domains_of_a_token(identity: Identity, member: tuple[str, str]) -> None:
    user, project = member
    token = identity.token(user)
    catalog = identity.call("GET", "/auth/catalog", token=token).json()["catalog"]
    assert {"id", "type", "name", "endpoints"} == catalog[0].keys()
    assert {"interface", "url", "region", "region_id", "id"} == catalog[0]["endpoints"][0].keys()
    projects = identity.call("GET", "/auth/projects", token=token).json()["projects"]
    assert project in [row["id"] for row in projects]
    domain = identity.make("domain")["id"]
    identity.grant("reader", user, f"domains/{domain}")
    domains = identity.call("GET", "/auth/domains", token=token).json()["domains"]
    assert domain in [row["id"] for row in domains]


def _fresh(identity: Identity) -> tuple[str, str, str, str]:
    """Return (domain, project, user, token) in a new domain."""
    domain = identity.make("domain")["id"]
    project = identity.make("project", domain_id=domain)["id"]
    user = identity.make("user", domain_id=domain, password=PASSWORD)["id"]
    identity.grant("member", user, f"projects/{project}")
    token = identity.token(user, scope=on_project(project))
    assert identity.call("GET", "/regions", token=token).status_code == 200
    return domain, project, user, token


@pytest.mark.parametrize("ended", ["user", "project", "domain"])
def test_disabling_revokes_tokens_at_once_and_permanently(identity: Identity, ended: str) -> None:
    domain, project, user, token = _fresh(identity)
    path = {"user": f"/users/{user}", "project": f"/projects/{project}", "domain": f"/domains/{domain}"}[ended]
    assert identity.call("PATCH", path, {ended: {"enabled": False}}).status_code == 200
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.login(user, scope=on_project(project)).status_code == 401
    assert identity.call("PATCH", path, {ended: {"enabled": True}}).status_code == 200
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.login(user, scope=on_project(project)).status_code == 201


@pytest.mark.parametrize("ended", ["user", "project", "grant"])
def test_deleting_revokes_tokens_at_once(identity: Identity, ended: str) -> None:
    _, project, user, token = _fresh(identity)
    grant = f"/projects/{project}/users/{user}/roles/{identity.role('member')}"
    path = {"user": f"/users/{user}", "project": f"/projects/{project}", "grant": grant}[ended]
    assert identity.call("DELETE", path).status_code == 204
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.check(token) == 404


def test_a_change_in_another_process_revokes_tokens(identity: Identity, api: Api) -> None:
    """Two processes share only the database: one must not cache what another one changes."""
    _, _, user, token = _fresh(identity)
    other = Cloud(api.cloud.settings)
    with other.database.read() as session:
        assert other.authenticate(session, token) is not None
    assert identity.call("PATCH", f"/users/{user}", {"user": {"enabled": False}}).status_code == 200
    with other.database.read() as session:
        assert other.authenticate(session, token) is None
    other.database.engine.dispose()


def test_a_new_role_is_effective_in_old_tokens(identity: Identity) -> None:
    _, project, user, token = _fresh(identity)
    identity.grant("manager", user, f"projects/{project}")
    described = identity.call("GET", "/auth/tokens", headers={"X-Subject-Token": token}).json()["token"]
    assert {role["name"] for role in described["roles"]} == {"manager", "member", "reader"}


def test_a_trust_delegates_roles_until_it_is_deleted(identity: Identity, member: tuple[str, str]) -> None:
    trustor, project = member
    trustee = identity.make("user", password=PASSWORD)["id"]
    token = identity.token(trustor)
    wanted = {
        "trustor_user_id": trustor,
        "trustee_user_id": trustee,
        "project_id": project,
        "impersonation": True,
        "roles": [{"name": "reader"}],
    }
    trust = identity.call("POST", "/OS-TRUST/trusts", {"trust": wanted}, token=token).json()["trust"]
    lent = identity.login(trustee, scope={"OS-TRUST:trust": {"id": trust["id"]}})
    assert lent.status_code == 201
    described = lent.json()["token"]
    assert described["user"]["id"] == trustor and described["project"]["id"] == project
    assert [role["name"] for role in described["roles"]] == ["reader"]
    assert described["OS-TRUST:trust"]["trustee_user"]["id"] == trustee
    borrowed = lent.headers["x-subject-token"]
    assert identity.authenticate("unscoped", token={"id": borrowed}).status_code == 403
    assert identity.call("POST", "/OS-TRUST/trusts", {"trust": wanted}, token=borrowed).status_code == 403
    assert identity.call("DELETE", f"/OS-TRUST/trusts/{trust['id']}", token=token).status_code == 204
    assert identity.call("GET", "/regions", token=borrowed).status_code == 401
    assert identity.call("GET", f"/OS-TRUST/trusts/{trust['id']}", token=token).status_code == 404


def test_a_trust_with_a_number_of_uses(identity: Identity, member: tuple[str, str]) -> None:
    trustor, project = member
    trustee = identity.make("user", password=PASSWORD)["id"]
    wanted = {
        "trustor_user_id": trustor,
        "trustee_user_id": trustee,
        "project_id": project,
        "impersonation": False,
        "roles": [{"name": "member"}],
        "remaining_uses": 1,
    }
    created = identity.call("POST", "/OS-TRUST/trusts", {"trust": wanted}, token=identity.token(trustor))
    scope = {"OS-TRUST:trust": {"id": created.json()["trust"]["id"]}}
    first = identity.login(trustee, scope=scope)
    assert first.status_code == 201 and first.json()["token"]["user"]["id"] == trustee
    assert identity.login(trustee, scope=scope).status_code == 401
    assert identity.call("GET", "/regions", token=first.headers["x-subject-token"]).status_code == 200


def _application_credential(identity: Identity, user: str, **fields: object) -> dict[str, str]:
    body = {"application_credential": {"name": unique("program"), **fields}}
    answer = identity.call("POST", f"/users/{user}/application_credentials", body, token=identity.token(user))
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()["application_credential"]
    return made


def test_an_application_credential_has_its_roles_and_cannot_create_another(
    identity: Identity, member: tuple[str, str]
) -> None:
    user, project = member
    made = _application_credential(identity, user, roles=[{"name": "reader"}])
    answer = identity.authenticate(application_credential={"id": made["id"], "secret": made["secret"]})
    token = answer.headers["x-subject-token"]
    assert answer.json()["token"]["project"]["id"] == project
    assert [role["name"] for role in answer.json()["token"]["roles"]] == ["reader"]
    path = f"/users/{user}/application_credentials"
    assert identity.call("POST", path, {"application_credential": {"name": "x"}}, token=token).status_code == 403
    assert "secret" not in identity.call("GET", f"{path}/{made['id']}", token=token).json()["application_credential"]
    wrong = identity.authenticate(application_credential={"id": made["id"], "secret": "wrong"})
    assert wrong.status_code == 401
    assert identity.call("DELETE", f"{path}/{made['id']}").status_code == 204
    assert identity.call("GET", "/regions", token=token).status_code == 401


def test_an_empty_list_of_access_rules_is_no_limit(identity: Identity, member: tuple[str, str]) -> None:
    """`openstack application credential create` sends it unless there are rules."""
    made = _application_credential(identity, member[0], roles=[], access_rules=[])
    assert "access_rules" not in made
    answer = identity.authenticate(application_credential={"id": made["id"], "secret": made["secret"]})
    assert identity.call("GET", "/regions", token=answer.headers["x-subject-token"]).status_code == 200


def test_access_rules_limit_the_requests_of_an_application_credential(
    identity: Identity, member: tuple[str, str]
) -> None:
    user, _ = member
    rules = [{"service": "identity", "method": "GET", "path": "/v3/regions/*"}]
    made = _application_credential(identity, user, access_rules=rules)
    answer = identity.authenticate(application_credential={"id": made["id"], "secret": made["secret"]})
    token = answer.headers["x-subject-token"]
    assert identity.call("GET", "/regions/RegionOne", token=token).status_code == 200
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.call("GET", f"/users/{user}", token=token).status_code == 401


def test_the_sdk_uses_an_application_credential(api: Api, identity: Identity, member: tuple[str, str]) -> None:
    user, project = member
    made = _application_credential(identity, user)

    with openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="v3applicationcredential",
        auth_url=f"{api.url}/identity",
        application_credential_id=made["id"],
        application_credential_secret=made["secret"],
        region_name="RegionOne",
    ) as connection:
        assert connection.current_project_id == project


def test_a_verified_password_is_cached(identity: Identity) -> None:
    """bcrypt takes about 200 ms; a client that requests many tokens waits for it once."""
    identity.login("demo")
    elapsed = min(identity.login("demo").elapsed.total_seconds() for _ in range(5))
    assert elapsed < 0.1


def test_both_paths_of_identity(api: Api) -> None:
    for path in ("/identity", "/identity/"):
        assert httpx.get(f"{api.url}{path}").status_code == 300
    for path in ("/identity/v3", "/identity/v3/"):
        assert httpx.get(f"{api.url}{path}").json()["version"]["status"] == "stable"
