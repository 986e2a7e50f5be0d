"""Options of users and other resources, as in Keystone."""

from collections.abc import Iterator

import pytest

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, unique


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.mark.parametrize(
    "options",
    [
        {"colour": "red"},
        {"lock_password": "yes"},
        {"multi_factor_auth_rules": [[]]},
        {"multi_factor_auth_rules": [["password", "password"]]},
        {"multi_factor_auth_rules": [["password"], ["password"]]},
    ],
)
def test_unknown_options_are_refused(identity: Identity, options: dict[str, object]) -> None:
    body = {"user": {"name": unique("user"), "options": options}}
    assert identity.call("POST", "/users", body).status_code == 400
    for kind in ("project", "domain", "role"):
        body = {kind: {"name": unique(kind), "options": options}}
        assert identity.call("POST", f"/{kind}s", body).status_code == 400


def test_a_locked_password_can_be_changed_only_by_administrators(identity: Identity) -> None:
    user = identity.make("user", password=PASSWORD, options={"lock_password": True})["id"]
    change = {"user": {"original_password": PASSWORD, "password": "new"}}
    refused = identity.call("POST", f"/users/{user}/password", change, token="")
    assert refused.status_code == 400 and "locked" in refused.json()["error"]["message"]
    assert identity.call("PATCH", f"/users/{user}", {"user": {"password": "new"}}).status_code == 200
    assert identity.login(user, "new").status_code == 201
    unlocked = identity.call("PATCH", f"/users/{user}", {"user": {"options": {"lock_password": None}}})
    assert unlocked.json()["user"]["options"] == {}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"multi_factor_auth_rules": [["application_credential"]]}, 401),
        ({"multi_factor_auth_rules": [["application_credential"]], "multi_factor_auth_enabled": False}, 201),
        ({"multi_factor_auth_rules": [["application_credential"], ["password"]]}, 201),
        # Rules with a method that this cloud does not have are ignored.
        ({"multi_factor_auth_rules": [["password", "totp"]]}, 201),
        ({"multi_factor_auth_rules": [["totp"]]}, 201),
    ],
)
def test_multi_factor_rules_require_methods_together(
    identity: Identity, options: dict[str, object], status: int
) -> None:
    user = identity.make("user", password=PASSWORD, options=options)["id"]
    assert identity.login(user).status_code == status


@pytest.mark.parametrize("kind", ["project", "domain", "role"])
def test_immutable_resources_must_be_made_mutable_first(identity: Identity, kind: str) -> None:
    path = f"/{kind}s/{identity.make(kind, options={'immutable': True})['id']}"
    mutable = {"options": {"immutable": False}}
    assert identity.call("PATCH", path, {kind: {"description": "x"}}).status_code == 403
    assert identity.call("PATCH", path, {kind: {"options": {}}}).status_code == 403
    assert identity.call("PATCH", path, {kind: {**mutable, "description": "x"}}).status_code == 403
    assert identity.call("DELETE", path).status_code == 403
    assert identity.call("PATCH", path, {kind: mutable}).status_code == 200
    assert identity.call("PATCH", path, {kind: {"description": "x"}}).json()[kind]["description"] == "x"


def test_an_application_credential_without_named_roles_has_all_roles_of_the_token(identity: Identity) -> None:
    token = identity.login("demo", scope={"project": {"name": "demo", "domain": {"id": "default"}}})
    path = f"/users/{token.json()['token']['user']['id']}/application_credentials"
    for roles in ({}, {"roles": []}):
        body = {"application_credential": {"name": unique("app"), **roles}}
        made = identity.call("POST", path, body, token=token.headers["x-subject-token"])
        held = {role["name"] for role in made.json()["application_credential"]["roles"]}
        assert made.status_code == 201 and held == {"member", "reader"}


def test_a_credential_changes_its_type_and_owner(identity: Identity) -> None:
    demo, alt = (identity.login(name).json()["token"]["user"]["id"] for name in ("demo", "alt"))
    made = identity.make("credential", type="cert", blob="a", user_id=demo)["id"]
    change = {"credential": {"type": "totp", "blob": "b", "user_id": alt}}
    shown = identity.call("PATCH", f"/credentials/{made}", change).json()["credential"]
    assert (shown["type"], shown["blob"], shown["user_id"]) == ("totp", "b", alt)
    own = identity.token("alt")
    assert (
        identity.call("PATCH", f"/credentials/{made}", {"credential": {"user_id": demo}}, token=own).status_code == 403
    )
    project = identity.make("project")["id"]
    foreign = {"credential": {"project_id": project}}
    assert identity.call("PATCH", f"/credentials/{made}", foreign, token=own).status_code == 403
    for blob, status in (('{"access": "a"}', 400), ('{"access": "a", "secret": "b"}', 200)):
        keys = {"credential": {"type": "ec2", "project_id": project, "blob": blob}}
        assert identity.call("PATCH", f"/credentials/{made}", keys).status_code == status
    for access in ("a", "c"):  # its present key, whatever its id was made from
        blob = f'{{"access": "{access}", "secret": "b"}}'
        assert identity.call("PATCH", f"/credentials/{made}", {"credential": {"blob": blob}}).status_code == 200
        found = identity.call("GET", f"/users/{alt}/credentials/OS-EC2/{access}").json()["credential"]
        assert found["access"] == access
    assert identity.call("GET", f"/users/{alt}/credentials/OS-EC2/a").status_code == 404
