"""Filters of identity's lists, exact and inexact, as in Keystone."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.filter_helpers import BOTH, NONE, A, Ask, B, Rows
from skywright.db.identity import AccessRule, ApplicationCredential, Credential, Policy


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return Ask(api, admin)


@pytest.fixture(scope="module")
def identity_rows(api: Api) -> dict[str, Rows]:
    rows: dict[str, list[str]] = {}
    with api.connect() as admin:
        base, me, project = f"{api.url}/identity/v3", admin.current_user_id, admin.current_project_id

        def make(kind: str, **fields: Any) -> str:
            answer = admin.session.post(f"{base}/{kind}s", json={kind: fields}, raise_exc=False)
            assert answer.status_code == 201, answer.text
            identifier: str = answer.json()[kind]["id"]
            rows.setdefault(f"{kind}s", []).append(identifier)
            return identifier

        domain = make("domain", name="Filter-A", enabled=False)
        make("domain", name="other-b")
        parent = make("project", name="Filter-A", domain_id="default", enabled=True, tags=["x", "y"])
        make("project", name="other-b", domain_id="default", parent_id=parent, enabled=False, tags=["y"])
        make("user", name="Filter-A", domain_id="default", enabled=False, default_project_id=parent)
        make("user", name="other-b", domain_id=domain)
        make("group", name="Filter-A", domain_id="default")
        make("group", name="other-b", domain_id=domain)
        make("role", name="Filter-A")
        make("role", name="other-b")
        make("region", id="region-a")
        make("region", id="region-b", parent_region_id="region-a")
        service = make("service", name="Filter-A", type="filter-a")
        other = make("service", name="other-b", type="other-b")
        make("endpoint", service_id=service, interface="public", url="http://a", region_id="region-a")
        make("endpoint", service_id=other, interface="admin", url="http://b")
        for kind, below in (("groups", f"users/{rows['users'][0]}"), ("groups", f"users/{me}")):
            assert admin.session.put(f"{base}/{kind}/{rows['groups'][0]}/{below}").status_code == 204
        for each in rows["projects"]:
            assert admin.session.put(f"{base}/projects/{each}/users/{me}/roles/{rows['roles'][0]}").status_code == 204
    extra: dict[str, list[Any]] = {
        "policies": [Policy(type="filter-a", blob="x"), Policy(type="other-b", blob="x")],
        "credentials": [
            Credential(user_id=user, type=kind, sealed=api.cloud.secrets.seal(b"x"))
            for user, kind in ((me, "filter-a"), (rows["users"][1], "other-b"))
        ],
        "access_rules": [
            AccessRule(user_id=me, service="compute", method="GET", path="/a"),
            AccessRule(user_id=me, service="image", method="POST", path="/b"),
        ],
        "application_credentials": [
            ApplicationCredential(user_id=me, project_id=project, name=name, name_key=name.casefold(), secret_hash="x",
                                  role_ids=[]) for name in ("Filter-A", "other-b")
        ],
    }  # fmt: skip
    with api.cloud.database.write() as session:
        for found_rows in extra.values():
            session.add_all(found_rows)
    rows |= {kind: [row.id for row in found_rows] for kind, found_rows in extra.items()}
    names = {"me": me, "project": parent, "domain": domain, "service": service, "group": rows["groups"][0]}
    return {kind: Rows(a, b, names | {"a": a}) for kind, (a, b) in rows.items()}


NAMES = [
    ("name=filter-a", A),
    ("name=Filter-A", A),
    ("name__contains=ilter", A),
    ("name__contains=ILTER", NONE),
    ("name__icontains=ILTER", A),
    ("name__startswith=Filter", A),
    ("name__startswith=filter", NONE),
    ("name__istartswith=filter", A),
    ("name__endswith=-A", A),
    ("name__endswith=-a", NONE),
    ("name__iendswith=-B", B),
    ("name__nonsense=x", BOTH),
    ("nonsense=x", BOTH),
]
KEYSTONE = {
    "domains": [*NAMES, ("enabled=false", A), ("enabled=1", B)],
    "projects": [
        *NAMES,
        ("enabled=False", B),
        ("domain_id=default", BOTH),
        ("domain_id=other", NONE),
        ("parent_id=<project>", B),
        ("is_domain=true", NONE),
        ("is_domain=0", BOTH),
        ("tags=x,y", A),
        ("tags-any=x,z", A),
        ("not-tags=x,y", B),
        ("not-tags-any=x", B),
    ],
    "users": [
        *NAMES,
        ("enabled=0", A),
        ("domain_id=default", A),
        ("default_project_id=<project>", A),
        ("password_expires_at=lt:2020-01-01T00:00:00Z", NONE),
        ("idp_id=x", NONE),
        ("protocol_id=x", NONE),
        ("unique_id=x", NONE),
    ],
    "groups": [*NAMES, ("domain_id=default", A)],
    "roles": [*NAMES, ("domain_id=default", NONE)],
    "regions": [("parent_region_id=region-a", B), ("parent_region_id__startswith=region", B)],
    "services": [("type=filter-a", A), ("name=other-b", B), ("type__contains=filter", A)],
    "endpoints": [("interface=admin", B), ("service_id=<service>", A), ("region_id=region-a", A)],
    "policies": [("type=filter-a", A)],
    "credentials": [("type=filter-a", A), ("user_id=<me>", A)],
    "users/<me>/access_rules": [("service=image", B), ("method=GET", A), ("path=/a", A), ("path__endswith=b", B)],
    "users/<me>/application_credentials": NAMES,
    "users/<me>/projects": [*NAMES, ("enabled=true", A), ("domain_id=default", BOTH), ("domain_id=x", NONE)],
    "users/<me>/groups": [("name=filter-a", A), ("name__contains=x", NONE)],
    "groups/<group>/users": [
        ("name=filter-a", A),
        ("enabled=true", NONE),
        ("enabled=false", A),
        ("name__contains=x", NONE),
    ],
}


@pytest.mark.parametrize(
    ("path", "query", "expected"), [(path, *row) for path, queries in KEYSTONE.items() for row in queries]
)
def test_keystone(ask: Ask, identity_rows: dict[str, Rows], path: str, query: str, expected: str) -> None:
    assert ask.found(f"identity/v3/{path}", identity_rows[path.rpartition("/")[2]], query) == expected


SORTED = {
    "users": ["name", "enabled", "domain_id"],
    "groups": ["name", "domain_id"],
    "projects": ["name", "parent_id"],
    "services": ["type"],
    "users/<me>/application_credentials": ["name"],
}


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, keys in SORTED.items() for key in keys])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_sort_keys(ask: Ask, identity_rows: dict[str, Rows], path: str, key: str, direction: str) -> None:
    """Pages have the order of the whole list."""
    kind = path.rpartition("/")[2]
    query = identity_rows[kind].fill(f"identity/v3/{path}?sort_key={key}&sort_dir={direction}")
    rows = ask.get(query).json()[kind]
    values = [str(row[key]).casefold() for row in rows]
    assert len(rows) > 1 and values == sorted(values, reverse=direction == "desc")
    paged, following = [], f"{query}&limit=1"
    while following:
        page = ask.get(following).json()
        paged += page[kind]
        following = (page["links"]["next"] or "").removeprefix(f"{ask.url}/")
    assert [row["id"] for row in paged] == [row["id"] for row in rows]


@pytest.mark.parametrize("query", ["sort_key=nonsense", "sort_key=idp_id", "sort_dir=up", "sort_key="])
def test_invalid_sort_keys(ask: Ask, query: str) -> None:
    assert ask.get(f"identity/v3/users?{query}").status_code == 400


@pytest.fixture(scope="module")
def held(api: Api) -> dict[str, str]:
    """Role assignments of a user and a group on a project, its domain and the system, by name."""
    with api.connect() as admin:
        base = f"{api.url}/identity/v3"

        def make(kind: str, **fields: Any) -> str:
            body = {kind: {"name": "held", **fields}}
            identifier: str = admin.session.post(f"{base}/{kind}s", json=body).json()[kind]["id"]
            return identifier

        domain, role, other = make("domain"), make("role"), make("role", name="held-too")
        names = {kind: make(kind, domain_id=domain) for kind in ("project", "user", "group")}
        for path in (
            f"projects/{names['project']}/users/{names['user']}/roles/{role}",
            f"domains/{domain}/groups/{names['group']}/roles/{other}",
            f"system/users/{names['user']}/roles/{other}",
            f"OS-INHERIT/domains/{domain}/users/{names['user']}/roles/{role}/inherited_to_projects",
        ):
            assert admin.session.put(f"{base}/{path}").status_code == 204
    return names | {"domain": domain, "role": role}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user.id=<user>", ["project", "system", "domain"]),
        ("group.id=<group>", ["domain"]),
        ("user.id=<user>&role.id=<role>", ["project", "domain"]),
        ("user.id=<user>&scope.project.id=<project>", ["project"]),
        ("scope.domain.id=<domain>", ["domain", "domain"]),
        ("user.id=<user>&scope.system=all", ["system"]),
        ("user.id=<user>&scope.OS-INHERIT:inherited_to=projects", ["domain"]),
        ("user.id=<user>&scope.OS-INHERIT:inherited_to=nothing", ["project", "system"]),
        ("user.id=nobody", []),
    ],
)
def test_role_assignments(ask: Ask, held: dict[str, str], query: str, expected: list[str]) -> None:
    for name, value in held.items():
        query = query.replace(f"<{name}>", value)
    answer = ask.get(f"identity/v3/role_assignments?{query}").json()["role_assignments"]
    kinds = [kind for row in answer for kind in row["scope"] if not kind.startswith("OS-")]
    assert sorted(kinds) == sorted(expected)


@pytest.mark.parametrize(
    "query",
    [
        "user.id=x&group.id=y",
        "scope.domain.id=x&scope.project.id=y",
        "scope.domain.id=x&scope.system=all",
        "scope.project.id=x&scope.system=all",
        "effective&group.id=x",
        "effective&scope.domain.id=x&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
    ],
)
def test_filters_without_matching_role_assignments(ask: Ask, query: str) -> None:
    assert ask.get(f"identity/v3/role_assignments?{query}").status_code == 400
