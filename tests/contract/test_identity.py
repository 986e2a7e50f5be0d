"""Domains, projects, users, groups and roles, as in Keystone."""

import itertools
from collections.abc import Iterator

import pytest
from openstack import exceptions
from openstack.connection import Connection

from contract.conftest import PASSWORD, Api
from contract.identity_helpers import Identity, make_identity, on_project, unique


@pytest.fixture(scope="module")
def identity(api: Api) -> Iterator[Identity]:
    yield from make_identity(api)


@pytest.fixture(scope="module")
def domain(identity: Identity) -> str:
    made: str = identity.make("domain")["id"]
    return made


def test_the_sdk_administers_identity(admin: Connection) -> None:
    domain = admin.identity.create_domain(name=unique("domain"))
    project = admin.identity.create_project(name=unique("project"), domain_id=domain.id, tags=["a"])
    user = admin.identity.create_user(name=unique("user"), domain_id=domain.id, password=PASSWORD, email="a@b.c")
    group = admin.identity.create_group(name=unique("group"), domain_id=domain.id)
    admin.identity.add_user_to_group(user, group)
    role = admin.identity.find_role("member", ignore_missing=False)
    admin.identity.assign_project_role_to_group(project, group, role)
    found = admin.identity.projects(name=project.name.upper(), domain_id=domain.id)
    assert [row.id for row in found] == [project.id]
    assert admin.identity.get_user(user.id).email == "a@b.c"
    held = list(admin.identity.role_assignments(user_id=user.id, effective=True, include_names=True))
    assert {row.role["name"] for row in held} == {"member", "reader"}
    assert held[0].scope["project"]["name"] == project.name
    admin.identity.update_domain(domain, is_enabled=False)
    admin.identity.delete_domain(domain)
    for find, row in ((admin.identity.get_user, user), (admin.identity.get_project, project)):
        with pytest.raises(exceptions.NotFoundException):
            find(row.id)


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
def test_names_are_unique_regardless_of_case(identity: Identity, kind: str) -> None:
    name = unique("Straße")
    identity.make(kind, name=name)
    answer = identity.call("POST", f"/{kind}s", {kind: {"name": name.upper()}})
    assert answer.status_code == 409
    found = identity.call("GET", f"/{kind}s", params={"name": name.swapcase()}).json()[f"{kind}s"]
    assert [row["name"] for row in found] == [name]


@pytest.mark.parametrize("kind", ["project", "user", "group"])
def test_names_are_unique_only_within_a_domain(identity: Identity, domain: str, kind: str) -> None:
    name = unique(kind)
    here, there = identity.make(kind, name=name), identity.make(kind, name=name, domain_id=domain)
    assert here["domain_id"] == "default" and there["domain_id"] == domain
    listed = identity.call("GET", f"/{kind}s?domain_id={domain}&name={name}").json()[f"{kind}s"]
    assert [row["id"] for row in listed] == [there["id"]]


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
def test_ids_are_hex_and_unknown_attributes_are_kept(identity: Identity, kind: str) -> None:
    made = identity.make(kind, colour="green", size=3)
    assert len(made["id"]) == 32 and int(made["id"], 16)
    assert made["links"]["self"].endswith(f"/v3/{kind}s/{made['id']}")
    changed = identity.call("PATCH", f"/{kind}s/{made['id']}", {kind: {"colour": None, "size": 4}}).json()[kind]
    assert "colour" not in changed and changed["size"] == 4
    assert identity.call("GET", f"/{kind}s/{made['id']}").json()[kind] == changed


def test_inexact_filters(identity: Identity) -> None:
    name = unique("a_b%c")
    identity.make("group", name=name)
    for query in (
        "name__contains=_b%25",
        "name__icontains=_B%25",
        "name__istartswith=A_",
        f"name__endswith={name[-6:]}",
    ):
        assert name in [row["name"] for row in identity.call("GET", f"/groups?{query}").json()["groups"]]
    for query in ("name__startswith=a%25", "name__contains=_B%25"):
        assert identity.call("GET", f"/groups?{query}").json()["groups"] == []


def test_only_a_disabled_domain_can_be_deleted_with_its_content(identity: Identity) -> None:
    domain = identity.make("domain")["id"]
    project = identity.make("project", domain_id=domain)["id"]
    user = identity.make("user", domain_id=domain, password=PASSWORD)["id"]
    role = identity.make("role", domain_id=domain)["id"]
    identity.grant("member", user, f"projects/{project}")
    stranger = identity.make("user", default_project_id=project)["id"]
    identity.grant("member", stranger, f"domains/{domain}")
    assert identity.call("DELETE", f"/domains/{domain}").status_code == 403
    identity.call("PATCH", f"/domains/{domain}", {"domain": {"enabled": False}})
    assert identity.call("DELETE", f"/domains/{domain}").status_code == 204
    for path in (f"/projects/{project}", f"/users/{user}", f"/roles/{role}", f"/domains/{domain}"):
        assert identity.call("GET", path).status_code == 404
    assert identity.call("GET", f"/role_assignments?user.id={stranger}").json()["role_assignments"] == []
    assert "default_project_id" not in identity.call("GET", f"/users/{stranger}").json()["user"]


def test_the_default_domain_cannot_be_deleted(identity: Identity) -> None:
    assert identity.call("PATCH", "/domains/default", {"domain": {"enabled": False}}).status_code == 403
    assert identity.call("DELETE", "/domains/default").status_code == 403


def test_child_projects(identity: Identity) -> None:
    top = identity.make("project")
    assert top["parent_id"] == "default"
    middle = identity.make("project", parent_id=top["id"])
    leaf = identity.make("project", parent_id=middle["id"])
    path = f"/projects/{leaf['id']}"
    assert identity.call("GET", f"{path}?parents_as_ids").json()["project"]["parents"] == {
        middle["id"]: {top["id"]: {"default": None}}
    }
    subtree = identity.call("GET", f"/projects/{top['id']}?subtree_as_ids").json()["project"]["subtree"]
    assert subtree == {middle["id"]: {leaf["id"]: None}}
    listed = identity.call("GET", f"/projects/{top['id']}?subtree_as_list").json()["project"]["subtree"]
    assert {row["project"]["id"] for row in listed} == {middle["id"], leaf["id"]}
    assert identity.call("DELETE", f"/projects/{top['id']}").status_code == 403
    assert identity.call("PATCH", f"/projects/{top['id']}", {"project": {"enabled": False}}).status_code == 403
    assert identity.call("PATCH", path, {"project": {"parent_id": top["id"]}}).status_code == 403
    deeper = leaf["id"]
    for _ in range(2):
        deeper = identity.make("project", parent_id=deeper)["id"]
    too_deep = identity.call("POST", "/projects", {"project": {"name": unique("p"), "parent_id": deeper}})
    assert too_deep.status_code == 403


def test_a_domain_is_also_a_project(identity: Identity) -> None:
    made = identity.make("project", is_domain=True)
    assert made["is_domain"] is True and made["domain_id"] is None
    assert identity.call("GET", f"/domains/{made['id']}").json()["domain"]["name"] == made["name"]
    assert made["id"] in [row["id"] for row in identity.call("GET", "/projects?is_domain=true").json()["projects"]]
    assert made["id"] not in [row["id"] for row in identity.call("GET", "/projects").json()["projects"]]


def test_project_tags(identity: Identity) -> None:
    project = identity.make("project", tags=["blue"])["id"]
    path = f"/projects/{project}/tags"
    assert identity.call("PUT", f"{path}/green").status_code == 201
    assert identity.call("GET", path).json()["tags"] == ["blue", "green"]
    assert identity.call("HEAD", f"{path}/green").status_code == 204
    for query, found in {"tags=blue,green": True, "tags=blue,red": False, "tags-any=red,blue": True}.items():
        listed = identity.call("GET", f"/projects?{query}").json()["projects"]
        assert (project in [row["id"] for row in listed]) is found
    assert project not in [row["id"] for row in identity.call("GET", "/projects?not-tags=blue").json()["projects"]]
    assert identity.call("PUT", path, {"tags": ["a", "a"]}).status_code == 400
    assert identity.call("DELETE", f"{path}/red").status_code == 404
    assert identity.call("DELETE", path).status_code == 204


def test_a_password_change_revokes_tokens_and_the_old_password(identity: Identity) -> None:
    user = identity.make("user", password=PASSWORD)["id"]
    token = identity.token(user)
    wrong = {"user": {"original_password": "wrong", "password": "new-password"}}
    assert identity.call("POST", f"/users/{user}/password", wrong, token="").status_code == 401
    right = {"user": {"original_password": PASSWORD, "password": "new-password"}}
    assert identity.call("POST", f"/users/{user}/password", right, token="").status_code == 204
    assert identity.call("GET", "/regions", token=token).status_code == 401
    assert identity.login(user).status_code == 401
    assert identity.login(user, "new-password").status_code == 201


def test_users_never_show_passwords(identity: Identity) -> None:
    user = identity.make("user", password=PASSWORD)
    assert "password" not in user and "password_hash" not in user
    assert identity.call("POST", "/users", {"user": {"name": unique("u"), "password": "x" * 73}}).status_code == 400


def test_groups_give_their_members_roles(identity: Identity) -> None:
    user, group = identity.make("user", password=PASSWORD)["id"], identity.make("group")["id"]
    project = identity.make("project")["id"]
    member = f"/groups/{group}/users/{user}"
    assert identity.call("HEAD", member).status_code == 404
    assert identity.call("PUT", member).status_code == 204
    assert [row["id"] for row in identity.call("GET", f"/users/{user}/groups").json()["groups"]] == [group]
    grant = f"/projects/{project}/groups/{group}/roles/{identity.role('reader')}"
    assert identity.call("PUT", grant).status_code == 204
    token = identity.token(user, scope=on_project(project))
    assert [row["id"] for row in identity.call("GET", f"/users/{user}/projects").json()["projects"]] == [project]
    assert identity.call("DELETE", member).status_code == 204
    assert identity.call("GET", "/regions", token=token).status_code == 401


def test_inherited_roles_apply_to_child_projects_but_not_to_the_target(identity: Identity, domain: str) -> None:
    user = identity.make("user", password=PASSWORD)["id"]
    top = identity.make("project", domain_id=domain)["id"]
    leaf = identity.make("project", domain_id=domain, parent_id=top)["id"]
    reader = identity.role("reader")
    grant = f"/OS-INHERIT/projects/{top}/users/{user}/roles/{reader}/inherited_to_projects"
    assert identity.call("PUT", grant).status_code == identity.call("HEAD", grant).status_code == 204
    assert identity.login(user, scope=on_project(leaf)).status_code == 201
    assert identity.login(user, scope=on_project(top)).status_code == 401
    shown = identity.call("GET", f"/role_assignments?user.id={user}&effective").json()["role_assignments"]
    assert [row["scope"] for row in shown] == [{"project": {"id": leaf}, "OS-INHERIT:inherited_to": "projects"}]
    assert identity.call("DELETE", grant).status_code == 204
    on_domain = f"/OS-INHERIT/domains/{domain}/users/{user}/roles/{reader}/inherited_to_projects"
    assert identity.call("PUT", on_domain).status_code == 204
    assert identity.login(user, scope=on_project(top)).status_code == 201
    assert identity.login(user, scope={"domain": {"id": domain}}).status_code == 401


def test_implied_roles(identity: Identity) -> None:
    roles = [identity.make("role")["id"] for _ in range(3)]
    for prior, implied in itertools.pairwise(roles):
        assert identity.call("PUT", f"/roles/{prior}/implies/{implied}").status_code == 201
    assert identity.call("PUT", f"/roles/{roles[2]}/implies/{roles[0]}").status_code == 400
    assert identity.call("PUT", f"/roles/{roles[0]}/implies/{identity.role('admin')}").status_code == 403
    user, project = identity.make("user", password=PASSWORD)["id"], identity.make("project")["id"]
    identity.call("PUT", f"/projects/{project}/users/{user}/roles/{roles[0]}")
    token = identity.login(user, scope=on_project(project)).json()["token"]
    assert {role["id"] for role in token["roles"]} == set(roles)
    assert identity.call("DELETE", f"/roles/{roles[1]}").status_code == 204
    token = identity.login(user, scope=on_project(project)).json()["token"]
    assert {role["id"] for role in token["roles"]} == {roles[0]}
    inferences = identity.call("GET", "/role_inferences").json()["role_inferences"]
    assert {"admin", "manager", "member"} <= {rule["prior_role"]["name"] for rule in inferences}


def test_the_default_roles_cannot_be_changed(identity: Identity) -> None:
    admin = identity.role("admin")
    assert identity.call("DELETE", f"/roles/{admin}").status_code == 403
    assert identity.call("PATCH", f"/roles/{admin}", {"role": {"name": "root"}}).status_code == 403


def test_grants_refuse_ids_that_do_not_exist(identity: Identity) -> None:
    user, project = identity.make("user")["id"], identity.make("project")["id"]
    role = identity.role("member")
    path = f"/projects/{project}/users/{user}/roles"
    for missing in (
        f"/projects/no/users/{user}/roles/{role}",
        f"/projects/{project}/users/no/roles/{role}",
        f"{path}/no",
    ):
        assert identity.call("PUT", missing).status_code == 404
    assert identity.call("DELETE", f"{path}/{role}").status_code == 404
    assert [identity.call("PUT", f"{path}/{role}").status_code for _ in range(2)] == [204, 204]
    assert [row["name"] for row in identity.call("GET", path).json()["roles"]] == ["member"]
