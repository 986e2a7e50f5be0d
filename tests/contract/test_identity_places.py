"""The places of projects in the hierarchy, and ids in the bodies of requests, as in Keystone."""

from collections.abc import Iterator
from typing import Any

import pytest

from contract.conftest import Api
from contract.identity_helpers import Identity, make_identity, unique


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group", "role", "region", "service", "policy"])
def test_ids_cannot_be_changed(identity: Identity, kind: str) -> None:
    plural = {"policy": "policies"}.get(kind, f"{kind}s")
    fields: dict[str, Any] = {"service": {"type": "x"}, "policy": {"type": "x", "blob": "x"}}.get(kind, {})
    made = identity.call("POST", f"/{plural}", {kind: {"name": unique(kind), **fields}}).json()[kind]
    for wanted, status in (("other", 400), (made["id"], 200), (None, 200)):
        answer = identity.call("PATCH", f"/{plural}/{made['id']}", {kind: {"id": wanted, "more": "x"}})
        assert answer.status_code == status, answer.text


def test_ids_of_endpoints_and_credentials_cannot_be_changed(identity: Identity) -> None:
    endpoint = identity.call("GET", "/endpoints").json()["endpoints"][0]["id"]
    body = {"credential": {"type": "x", "blob": "x"}}
    credential = identity.call("POST", "/credentials", body).json()["credential"]["id"]
    for kind, identifier in (("endpoint", endpoint), ("credential", credential)):
        assert identity.call("PATCH", f"/{kind}s/{identifier}", {kind: {"id": "other"}}).status_code == 400


def test_a_domain_with_an_explicit_id(identity: Identity) -> None:
    wanted = "0123456789abcdef" * 2
    made = identity.make("domain", explicit_domain_id=wanted)
    assert made["id"] == wanted and "explicit_domain_id" not in made
    project = identity.make("project")["id"]
    for identifier, status in ((wanted, 409), (project, 409), ("my-domain", 400), (wanted.upper(), 400), (None, 400)):
        body = {"name": unique("domain"), "explicit_domain_id": identifier}
        assert identity.call("POST", "/domains", {"domain": body}).status_code == status
    as_project = {"name": unique("domain"), "is_domain": True, "explicit_domain_id": 5}
    assert identity.call("POST", "/projects", {"project": as_project}).status_code == 400


def test_a_default_project_is_not_a_domain(identity: Identity) -> None:
    body = {"user": {"name": unique("user"), "default_project_id": "default"}}
    assert identity.call("POST", "/users", body).status_code == 400
    user = identity.make("user", default_project_id="of-later")["id"]
    assert identity.call("PATCH", f"/users/{user}", {"user": {"default_project_id": "default"}}).status_code == 400
    assert identity.call("GET", f"/users/{user}").json()["user"]["default_project_id"] == "of-later"


@pytest.mark.parametrize("place", [{"domain_id": "nowhere"}, {"parent_id": "nowhere"}])
def test_unknown_places_are_invalid(identity: Identity, place: dict[str, str]) -> None:
    """They are not "not found": the list of projects, to which the request goes, exists."""
    assert identity.call("POST", "/projects", {"project": {"name": unique("p"), **place}}).status_code == 400


def test_nothing_is_created_or_enabled_below_something_disabled(identity: Identity) -> None:
    domain = identity.make("domain")["id"]
    parent = identity.make("project", domain_id=domain)["id"]
    child = identity.make("project", parent_id=parent, enabled=False)["id"]

    def refused(place: dict[str, str]) -> None:
        for enabled in (True, False):
            body = {"name": unique("p"), "enabled": enabled, **place}
            answer = identity.call("POST", "/projects", {"project": body})
            assert answer.status_code == 400 and "containing a disabled project" in answer.text
        assert identity.call("PATCH", f"/projects/{child}", {"project": {"enabled": True}}).status_code == 403

    identity.call("PATCH", f"/projects/{parent}", {"project": {"enabled": False}})
    refused({"parent_id": parent})
    identity.call("PATCH", f"/projects/{parent}", {"project": {"enabled": True}})
    identity.call("PATCH", f"/domains/{domain}", {"domain": {"enabled": False}})
    refused({"domain_id": domain})
    refused({"parent_id": parent})


def test_relatives_of_a_project_are_shown_if_the_value_is_true(identity: Identity) -> None:
    parent = identity.make("project")["id"]
    child = identity.make("project", parent_id=parent)["id"]

    def relatives(identifier: str, query: str) -> dict[str, Any]:
        shown = identity.call("GET", f"/projects/{identifier}?{query}").json()["project"]
        return {name: shown[name] for name in ("parents", "subtree") if name in shown}

    assert relatives(child, "parents_as_list=0&subtree_as_list=false&parents_as_ids=no") == {}
    assert relatives(child, "parents_as_ids=true&parents_as_list=false") == {"parents": {parent: {"default": None}}}
    assert relatives(parent, "subtree_as_ids") == {"subtree": {child: None}}


def test_relatives_of_a_domain(identity: Identity) -> None:
    domain = identity.make("domain")["id"]
    top = identity.make("project", domain_id=domain)["id"]
    child = identity.make("project", parent_id=top)["id"]
    shown = identity.call("GET", f"/projects/{domain}?subtree_as_ids&parents_as_ids").json()["project"]
    assert shown["subtree"] == {top: {child: None}} and shown["parents"] is None
    shown = identity.call("GET", f"/projects/{domain}?subtree_as_list&parents_as_list").json()["project"]
    assert {row["project"]["id"] for row in shown["subtree"]} == {top, child} and shown["parents"] == []
