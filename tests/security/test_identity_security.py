"""Hostile input to identity: it works as text or is refused, and refusals disclose nothing."""

from collections.abc import Iterator
from typing import Any

import bcrypt
import httpx
import pytest

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, on_project, unique
from skywright.auth import passwords

# Tests hash with fewer rounds.
USUAL_ROUNDS = passwords.ROUNDS

NASTY = [
    "{{ lookup('pipe','touch /tmp/pwned') }}",
    "$(reboot)",
    '"><x>',
    "-rf",
    "../../etc/passwd",
    "a\nb",
    "'; DROP TABLE user; --",
    "%(project_id)s",
    "Łódź \U0001f600",
]
REFUSED = ["", " ", "x" * 256, "a\0b", None, 5, [], {}, True]


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
@pytest.mark.parametrize("text", NASTY)
def test_hostile_names_are_stored_unchanged(identity: Identity, kind: str, text: str) -> None:
    name = f"{text}{unique('')}"
    made = identity.make(kind, name=name, description=text, nasty=text)
    assert made["name"] == name and made["nasty"] == text
    found = identity.call("GET", f"/{kind}s", params={"name": name}).json()[f"{kind}s"]
    assert [row["id"] for row in found] == [made["id"]]


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
@pytest.mark.parametrize("name", REFUSED)
def test_invalid_names_are_refused(identity: Identity, kind: str, name: object) -> None:
    answer = identity.call("POST", f"/{kind}s", {kind: {"name": name}})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400 and answer.json()["error"]["title"] == "Bad Request"


def test_a_user_name_of_255_characters(identity: Identity) -> None:
    name = "ß" * 255
    user = identity.make("user", name=name, password=PASSWORD)
    assert identity.login(name).json()["token"]["user"]["id"] == user["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"user": null}',
        b'{"user": []}',
        b'{"user": {"name": "\\ud800"}}',
        b'{"user": {"name": "u", "extra": "\\ud800"}}',
        b'{"user": {"name": "u", "extra": ' + b"9" * 40 + b"}}",
        b'{"user": {"name": "u", "extra": 1e400}}',
        b'{"user": {"name": "u", "extra": [NaN]}}',
        b'{"user": {"name": "u", "enabled": "yes"}}',
        b'{"user": {"name": "u", "password": 5}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_invalid_bodies_are_refused(identity: Identity, body: bytes) -> None:
    headers = {"X-Auth-Token": identity.admin, "Content-Type": "application/json"}
    assert identity.http.post("/users", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/users", "/projects", "/domains", "/OS-TRUST/trusts", "/auth/catalog", "/regions"])
def test_requests_without_a_token_are_refused(identity: Identity, path: str) -> None:
    for method in ("GET", "POST") if path != "/auth/catalog" else ("GET",):
        answer = identity.call(method, path, {} if method == "POST" else None, token="")
        assert answer.status_code == 401, method
        assert answer.json()["error"]["title"] == "Unauthorized"
        assert answer.headers["www-authenticate"].startswith("Keystone uri=")


def test_resources_of_others_look_like_unknown_ones(identity: Identity) -> None:
    token = identity.token("demo")
    for kind in ("project", "user", "group", "domain"):
        row = identity.make(kind)["id"]
        for method, body in (("GET", None), ("PATCH", {kind: {}}), ("DELETE", None)):
            if (kind, method) == ("domain", "GET"):
                continue
            there = identity.call(method, f"/{kind}s/{row}", body, token=token)
            unknown = identity.call(method, f"/{kind}s/{'0' * 32}", body, token=token)
            assert there.status_code == unknown.status_code == 403, (kind, method)
            assert there.json() == unknown.json()


def test_unknown_users_take_as_long_as_wrong_passwords(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """The duration of bcrypt depends only on the rounds of the hash."""
    rounds: list[str] = []
    check = bcrypt.checkpw

    def checkpw(password: bytes, stored: bytes) -> bool:
        rounds.append(stored.decode().split("$")[2])
        return check(password, stored)

    monkeypatch.setattr(passwords, "ROUNDS", USUAL_ROUNDS)
    user = identity.make("user", password=PASSWORD)
    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    for name in (user["name"], unique("unknown")):
        assert identity.login(name, unique("wrong")).status_code == 401
    assert rounds == [str(USUAL_ROUNDS)] * 2


@pytest.mark.parametrize("change", [{"enabled": False}, None])
def test_refused_logins_do_not_show_the_reason(identity: Identity, change: dict[str, Any] | None) -> None:
    user = identity.make("user", password=PASSWORD)
    if change:
        identity.call("PATCH", f"/users/{user['id']}", {"user": change})
    wrong = identity.login(user["id"], PASSWORD if change else "wrong")
    unknown_user = identity.login("nobody-of-that-name", "wrong")
    assert wrong.status_code == unknown_user.status_code == 401
    assert wrong.json() == unknown_user.json()


def test_passwords_are_compared_beyond_72_bytes(identity: Identity) -> None:
    """bcrypt alone would ignore all bytes after the 72nd."""
    user = identity.make("user", password="p" * 72)["id"]
    assert identity.login(user, "p" * 72).status_code == 201
    assert identity.login(user, "p" * 73).status_code == 401


def test_users_cannot_act_for_others(identity: Identity) -> None:
    demo, alt = identity.login("demo"), identity.login("alt").json()["token"]
    token, other = demo.headers["x-subject-token"], alt["user"]["id"]
    trust = {
        "trustor_user_id": other,
        "trustee_user_id": demo.json()["token"]["user"]["id"],
        "project_id": alt["project"]["id"],
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    assert identity.call("POST", "/OS-TRUST/trusts", {"trust": trust}, token=token).status_code == 403
    credential = {"application_credential": {"name": "x"}}
    path = f"/users/{other}/application_credentials"
    assert identity.call("POST", path, credential, token=token).status_code == 403
    assert identity.call("POST", path, credential).status_code == 403  # not even an administrator
    blob = {"credential": {"type": "totp", "blob": "x", "user_id": other}}
    assert identity.call("POST", "/credentials", blob, token=token).status_code == 403


def test_trusts_delegate_only_roles_of_the_trustor(identity: Identity) -> None:
    demo = identity.login("demo").json()["token"]
    wanted = {
        "trustor_user_id": demo["user"]["id"],
        "trustee_user_id": identity.make("user")["id"],
        "project_id": demo["project"]["id"],
        "impersonation": True,
        "roles": [{"name": "admin"}],
    }
    token = identity.token("demo")
    assert identity.call("POST", "/OS-TRUST/trusts", {"trust": wanted}, token=token).status_code == 403
    body = {"application_credential": {"name": "x", "roles": [{"name": "admin"}]}}
    path = f"/users/{demo['user']['id']}/application_credentials"
    assert identity.call("POST", path, body, token=token).status_code == 403


def test_a_role_of_another_domain_is_not_granted(identity: Identity) -> None:
    role = identity.make("role", domain_id=identity.make("domain")["id"])["id"]
    user, project = identity.make("user", password=PASSWORD)["id"], identity.make("project")["id"]
    assert identity.call("PUT", f"/projects/{project}/users/{user}/roles/{role}").status_code == 403
    assert identity.login(user, scope=on_project(project)).status_code == 401


def test_large_bodies_are_refused_in_the_format_of_the_service(identity: Identity, api: Api) -> None:
    limit = api.cloud.settings.max_body_bytes
    large = b'{"user": {"name": "' + b"x" * limit + b'"}}'

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    headers = {"X-Auth-Token": identity.admin, "Content-Type": "application/json"}
    for content in (large, pieces()):
        answer = identity.http.post("/users", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == 413
    assert httpx.post(f"{api.url}/identity/v3/auth/tokens", content=large).status_code == 413
