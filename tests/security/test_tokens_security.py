"""Forged, expired and misused tokens."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from contract.conftest import Api
from contract.identity_helpers import Identity, make_identity
from skywright.auth.subject import Claims
from skywright.auth.tokens import EXPIRED_WINDOW, revoke
from skywright.db import utcnow
from skywright.db.identity import RevokedToken


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "gAAAAA",
        "a" * 300,
        "A" * 5000,
        "../../etc/passwd",
        "' or 1=1",
        "null",
        "{}",
        "llPd1V8iNf68moOn7wcBbI3PdZeJe8_i5OeSrdlcfTQ=",
    ],
)
def test_invalid_tokens_are_refused(identity: Identity, token: str) -> None:
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.check(token) == 404
    assert identity.authenticate(token={"id": token}).status_code == 401


def test_tokens_that_are_not_ascii_are_refused(identity: Identity) -> None:
    assert identity.http.get("/regions", headers={b"X-Auth-Token": b"\xff\xfetoken"}).status_code == 401


def test_a_token_of_another_key_is_refused(identity: Identity) -> None:
    content = ["u", [None, None, 1], ["password"], ["a"], [0, 9e9], [None, None]]
    forged = Fernet(Fernet.generate_key()).encrypt(json.dumps(content).encode()).decode()
    assert identity.call("GET", "/regions", token=forged).status_code == 401


def test_a_changed_token_is_refused(identity: Identity) -> None:
    token = identity.token("demo")
    for place in (5, len(token) // 2, len(token) - 3):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert identity.call("GET", "/regions", token=changed).status_code == 401


def _claims(api: Api, identity: Identity, **changes: object) -> Claims:
    user = identity.login("demo").json()["token"]
    now = utcnow()
    fields: dict[str, object] = {
        "user_id": user["user"]["id"],
        "audit_ids": ("a",),
        "issued_at": now,
        "expires_at": now + timedelta(hours=1),
        "methods": ("password",),
        "project_id": user["project"]["id"],
    }
    return Claims(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_expired_token_is_refused_even_if_cached(api: Api, identity: Identity) -> None:
    tokens = api.cloud.tokens
    soon = tokens.issue(_claims(api, identity, expires_at=utcnow() + timedelta(seconds=2)))
    assert identity.call("GET", "/regions", token=soon).status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skywright.auth.tokens.utcnow", lambda: utcnow() + timedelta(seconds=3))
        assert identity.call("GET", "/regions", token=soon).status_code == 401
    over = tokens.issue(_claims(api, identity, expires_at=utcnow() - timedelta(seconds=1)))
    assert identity.call("GET", "/regions", token=over).status_code == 401


def test_an_expired_token_is_described_on_request(api: Api, identity: Identity) -> None:
    """A service that works for a long time may ask with `allow_expired`, unless the token was revoked."""
    tokens, ago = api.cloud.tokens, utcnow() - EXPIRED_WINDOW + timedelta(minutes=5)
    over, old = (
        tokens.issue(_claims(api, identity, audit_ids=(name,), issued_at=utcnow(), expires_at=expires_at))
        for name, expires_at in (("over", ago), ("old", ago - timedelta(minutes=10)))
    )

    def status(token: str, query: str, method: str = "GET") -> int:
        headers = {"X-Subject-Token": token}
        return identity.call(method, f"/auth/tokens{query}", headers=headers).status_code

    assert [status(over, query) for query in ("", "?allow_expired=0", "?allow_expired=1")] == [404, 404, 200]
    assert status(over, "?allow_expired=true", "HEAD") == 200
    assert status(old, "?allow_expired=1") == 404
    assert identity.call("GET", "/auth/projects?allow_expired=1", token=over).status_code == 401
    with api.cloud.database.write() as session:
        session.add(RevokedToken(audit_id="over", expires_at=ago))
        revoke(session, tokens.inspect(session, identity.token("demo")).credentials)  # type: ignore[union-attr]
    assert status(over, "?allow_expired=1") == 404


def test_a_token_gives_only_the_roles_in_the_database(api: Api, identity: Identity) -> None:
    """Even a token that is encrypted with the right key gives only the roles in the database."""
    for scope in ({"project_id": None, "system": True}, {"project_id": None, "domain_id": "default"}):
        token = api.cloud.tokens.issue(_claims(api, identity, **scope))
        assert identity.call("GET", "/regions", token=token).status_code == 401


def test_tokens_of_others_cannot_be_shown_or_revoked(identity: Identity) -> None:
    demo, alt = identity.token("demo"), identity.token("alt")
    subject = {"X-Subject-Token": alt}
    for method in ("GET", "HEAD", "DELETE"):
        assert identity.call(method, "/auth/tokens", token=demo, headers=dict(subject)).status_code == 403
    assert identity.check(alt) == 200


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"identity": {}},
        {"identity": {"methods": []}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "demo"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": 5, "password": "x"}}}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}, "domain": {}}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"planet": {}}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {}},
        {"identity": {"methods": ["password"]}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "no domain"}}}},
        {"identity": {"methods": ["application_credential"], "application_credential": {"name": "x", "secret": "x"}}},
        {"identity": {"methods": ["application_credential"], "application_credential": {"secret": "x"}}},
    ],
)
def test_malformed_requests_are_refused(identity: Identity, auth: object) -> None:
    assert identity.http.post("/auth/tokens", json={"auth": auth}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"methods": ["mapped"]},
        {"methods": ["password", "mapped"], "password": {"user": {"id": "x", "password": "x"}}},
        {"methods": ["application_credential"], "application_credential": {"id": "x", "secret": "x"}},
    ],
)
def test_requests_without_a_valid_method_are_refused(identity: Identity, wrong: dict[str, object]) -> None:
    assert identity.http.post("/auth/tokens", json={"auth": {"identity": wrong}}).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"user": {"name": "demo"}}, "password/user': Expecting to find domain"),
        ({"user": {}}, "password/user': Expecting to find id or name"),
        ({"user": {"name": "demo", "domain": {}}}, "user/domain': Expecting to find id or name"),
        ({"scope": {"project": {"name": "demo"}}}, "scope/project': Expecting to find domain"),
        ({"scope": {"project": {}}}, "scope/project': Expecting to find id or name"),
        ({"scope": {"domain": {}}}, "scope/domain': Expecting to find id or name"),
        ({"methods": ["password", "token"]}, "identity': Expecting to find token"),
    ],
)
def test_what_is_missing_is_named(identity: Identity, wrong: dict[str, Any], reason: str) -> None:
    """Keystone answers 400, too: a login without the domain of the user or project is not a wrong password."""
    user = wrong.get("user", {"name": "demo", "domain": {"id": "default"}}) | {"password": "secret"}
    auth = {"identity": {"methods": wrong.get("methods", ["password"]), "password": {"user": user}}}
    answer = identity.http.post("/auth/tokens", json={"auth": auth | {"scope": wrong.get("scope", "unscoped")}})
    assert answer.status_code == 400 and reason in answer.text
    assert "secret" not in answer.text


def test_two_methods_must_be_of_the_same_user(identity: Identity) -> None:
    mine, others = identity.token("demo"), identity.token("alt")
    user = {"name": "demo", "domain": {"id": "default"}, "password": "secret-of-the-tests"}
    assert identity.authenticate(password={"user": user}, token={"id": mine}).status_code == 201
    assert identity.authenticate(password={"user": user}, token={"id": others}).status_code == 401


def test_only_the_owner_can_read_the_keys(api: Api) -> None:
    keys = list(api.cloud.settings.key_dir.rglob("*.key"))
    assert keys
    for key in keys:
        assert key.stat().st_mode & 0o077 == 0 and key.parent.stat().st_mode & 0o077 == 0
