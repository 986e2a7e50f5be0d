"""A plain HTTP client of identity: tokens of any scope, and one call for each request."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.conftest import PASSWORD, Api
from skywright.auth import passwords


class Identity:
    """A client of `/identity/v3`."""

    def __init__(self, api: Api) -> None:
        self.http = httpx.Client(base_url=f"{api.url}/identity/v3")
        self.admin = self.token("admin", scope={"project": {"name": "admin", "domain": {"id": "default"}}})

    def authenticate(self, scope: Any = None, **identity: Any) -> httpx.Response:
        """Send `POST /auth/tokens` with the methods of *identity*."""
        body: dict[str, Any] = {"auth": {"identity": {"methods": list(identity), **identity}}}
        if scope is not None:
            body["auth"]["scope"] = scope
        return self.http.post("/auth/tokens", json=body)

    def login(self, user: str, password: str = PASSWORD, scope: Any = None, domain: str = "default") -> httpx.Response:
        """Authenticate *user*, named by id or name, with a password."""
        by_id = len(user) == 32
        reference = {"id": user} if by_id else {"name": user, "domain": {"id": domain}}
        return self.authenticate(scope, password={"user": {**reference, "password": password}})

    def token(self, user: str, password: str = PASSWORD, scope: Any = None) -> str:
        """A token of *user*."""
        response = self.login(user, password, scope)
        assert response.status_code == 201, response.text
        return response.headers["x-subject-token"]

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **options: Any
    ) -> httpx.Response:
        """Send one request, with *token* ("": none), by default an administrator's."""
        headers = options.pop("headers", {})
        used = self.admin if token is None else token
        if used:
            headers["X-Auth-Token"] = used
        return self.http.request(method, path, json=body, headers=headers, **options)

    def make(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Create a resource, by default with a unique name."""
        response = self.call("POST", f"/{kind}s", {kind: {"name": unique(kind), **fields}})
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()[kind]
        return made

    def role(self, name: str) -> str:
        """The id of the global role *name*."""
        found: str = self.call("GET", f"/roles?name={name}").json()["roles"][0]["id"]
        return found

    def grant(self, role: str, user: str, target: str) -> None:
        """Give the role *name* to a user on `projects/<id>`, `domains/<id>` or `system`."""
        response = self.call("PUT", f"/{target}/users/{user}/roles/{self.role(role)}")
        assert response.status_code == 204, response.text

    def check(self, token: str) -> int:
        """Return the status of validating *token* as an administrator."""
        return self.call("HEAD", "/auth/tokens", headers={"X-Subject-Token": token}).status_code


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def on_project(project_id: str) -> dict[str, Any]:
    return {"project": {"id": project_id}}


def make_identity(api: Api) -> Iterator[Identity]:
    with pytest.MonkeyPatch.context() as patch:
        # The tests create many users: hashes with few rounds are fast.
        patch.setattr(passwords, "ROUNDS", 4)
        identity = Identity(api)
        yield identity
        identity.http.close()
