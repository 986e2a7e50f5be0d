"""Tokens of trusts and application credentials reach nothing outside of their delegation, as in Keystone."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, on_project, unique


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@dataclass
class Delegation:
    """A user with credentials in two projects, and tokens that were delegated to others for one of them."""

    user: str
    project: str
    tokens: dict[str, str]
    inside: str  # credentials of the project, of another, and of none
    outside: str
    personal: str
    access: str  # the EC2 access key of the other project
    application_credential: str
    trust: str


@pytest.fixture(scope="module")
def lent(identity: Identity) -> Delegation:
    user, trustee = (identity.make("user", password=PASSWORD)["id"] for _ in range(2))
    project, other = (identity.make("project")["id"] for _ in range(2))
    for each in (project, other):
        identity.grant("member", user, f"projects/{each}")
    here, there = (identity.token(user, scope=on_project(each)) for each in (project, other))

    def credential(token: str, **fields: str) -> str:
        body = {"credential": {"type": "key", "blob": "top secret", **fields}}
        made: str = identity.call("POST", "/credentials", body, token=token).json()["credential"]["id"]
        return made

    ec2 = identity.call("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": other}, token=there).json()
    wanted = {"trustor_user_id": user, "trustee_user_id": trustee, "project_id": project, "impersonation": True}
    body = {"trust": {**wanted, "roles": [{"name": "member"}]}}
    trust = identity.call("POST", "/OS-TRUST/trusts", body, token=here).json()["trust"]["id"]
    body = {"application_credential": {"name": unique("program"), "unrestricted": True}}
    made = identity.call("POST", f"/users/{user}/application_credentials", body, token=here).json()
    program = made["application_credential"]
    tokens = {
        "trust": identity.login(trustee, scope={"OS-TRUST:trust": {"id": trust}}),
        "program": identity.authenticate(application_credential={"id": program["id"], "secret": program["secret"]}),
    }
    return Delegation(
        user,
        project,
        {name: answer.headers["x-subject-token"] for name, answer in tokens.items()},
        credential(here, project_id=project),
        credential(there, project_id=other),
        credential(here),
        ec2["credential"]["access"],
        program["id"],
        trust,
    )


@pytest.mark.parametrize("kind", ["trust", "program"])
def test_credentials_outside_of_the_delegation(identity: Identity, lent: Delegation, kind: str) -> None:
    token, owned = lent.tokens[kind], f"/users/{lent.user}/credentials/OS-EC2"
    listed = identity.call("GET", "/credentials", token=token).json()["credentials"]
    assert [row["id"] for row in listed] == [lent.inside]
    assert identity.call("GET", f"/credentials/{lent.inside}", token=token).status_code == 200
    assert identity.call("GET", owned, token=token).json()["credentials"] == []
    for path in (f"/credentials/{lent.outside}", f"/credentials/{lent.personal}", f"{owned}/{lent.access}"):
        for method in ("GET", "DELETE"):
            assert identity.call(method, path, token=token).status_code == 403
    body = {"credential": {"blob": "x"}}
    assert identity.call("PATCH", f"/credentials/{lent.personal}", body, token=token).status_code == 403


def test_the_owner_reaches_all_credentials(identity: Identity, lent: Delegation) -> None:
    token = identity.token(lent.user, scope=on_project(lent.project))
    listed = identity.call("GET", "/credentials", token=token).json()["credentials"]
    assert {lent.inside, lent.outside, lent.personal} <= {row["id"] for row in listed}


def test_a_trust_does_not_reach_application_credentials(identity: Identity, lent: Delegation) -> None:
    token, base = lent.tokens["trust"], f"/users/{lent.user}"
    paths = ("application_credentials", f"application_credentials/{lent.application_credential}", "access_rules")
    for path in paths:
        assert identity.call("GET", f"{base}/{path}", token=token).status_code == 403
    assert identity.call("DELETE", f"{base}/{paths[1]}", token=token).status_code == 403
    assert identity.call("GET", f"{base}/{paths[1]}", token=lent.tokens["program"]).status_code == 200


def test_an_application_credential_does_not_reach_trusts(identity: Identity, lent: Delegation) -> None:
    """Even an unrestricted one: a trust could give roles that the application credential does not have."""
    token = lent.tokens["program"]
    wanted = {"trustor_user_id": lent.user, "trustee_user_id": lent.user, "project_id": lent.project}
    body = {"trust": {**wanted, "impersonation": False, "roles": [{"name": "member"}]}}
    assert identity.call("POST", "/OS-TRUST/trusts", body, token=token).status_code == 403
    for path in (f"?trustor_user_id={lent.user}", f"/{lent.trust}", f"/{lent.trust}/roles"):
        assert identity.call("GET", f"/OS-TRUST/trusts{path}", token=token).status_code == 403
    assert identity.call("DELETE", f"/OS-TRUST/trusts/{lent.trust}", token=token).status_code == 403
