"""Every list of every service, page by page: each row comes once, and the pages end.

The routes come from the registry. A table gives the reason for each route that is no list or has no pages.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urljoin

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.list_rows import make_rows
from skywright.services import registry
from skywright.services.compute import not_offered
from skywright.services.network import absent

Body = dict[str, Any]


def by(key: str, *path: str) -> Callable[[Body], list[str]]:
    """Return what identifies a row of the list *key*."""

    def found(body: Body) -> list[str]:
        rows: list[Any] = body[key]
        for name in path or ("id",):
            rows = [row[name] for row in rows]
        return [str(row) for row in rows]

    return found


def used(usages: list[Body]) -> list[str]:
    return [server["instance_id"] for usage in usages for server in usage.get("server_usages", ())]


IDENTITY = ("projects", "users", "groups", "domains", "roles", "regions", "services", "endpoints", "credentials")
PAGED: dict[str, Callable[[Body], list[str]]] = {
    **{f"/identity/v3/{name}": by(name) for name in (*IDENTITY, "policies")},
    "/identity/v3/users/{user_id}/projects": by("projects"),
    "/identity/v3/users/{user_id}/groups": by("groups"),
    "/identity/v3/groups/{group_id}/users": by("users"),
    "/identity/v3/users/{user_id}/application_credentials": by("application_credentials"),
    "/identity/v3/users/{user_id}/access_rules": by("access_rules"),
    "/compute/v2.1/servers": by("servers"),
    "/compute/v2.1/servers/detail": by("servers"),
    "/compute/v2.1/servers/{server_id}/os-instance-actions": by("instanceActions", "request_id"),
    "/compute/v2.1/flavors": by("flavors"),
    "/compute/v2.1/flavors/detail": by("flavors"),
    "/compute/v2.1/os-keypairs": by("keypairs", "keypair", "name"),
    "/compute/v2.1/os-hypervisors": by("hypervisors"),
    "/compute/v2.1/os-hypervisors/detail": by("hypervisors"),
    "/compute/v2.1/os-simple-tenant-usage": lambda body: used(body["tenant_usages"]),
    "/compute/v2.1/os-simple-tenant-usage/{project_id}": lambda body: used([body["tenant_usage"]]),
    **{f"/networking/v2.0/{name}": by(name) for name in ("networks", "subnets", "ports", "subnetpools")},
    **{f"/networking/v2.0/{name}": by(name) for name in ("routers", "floatingips")},
    "/networking/v2.0/floatingips/{floatingip_id}/port_forwardings": by("port_forwardings"),
    "/networking/v2.0/floatingip_pools": by("floatingip_pools", "subnet_id"),
    "/networking/v2.0/address-scopes": by("address_scopes"),
    "/networking/v2.0/rbac-policies": by("rbac_policies"),
    "/networking/v2.0/qos/policies": by("policies"),
    "/networking/v2.0/network_segment_ranges": by("network_segment_ranges"),
    "/networking/v2.0/network-ip-availabilities": by("network_ip_availabilities", "network_id"),
    "/image/v2/images": by("images"),
    "/image/v2/tasks": by("tasks"),
    "/image/v2/metadefs/namespaces": by("namespaces", "namespace"),
    "/image/v2/metadefs/namespaces/{namespace}/objects": by("objects", "name"),
    "/image/v2/metadefs/namespaces/{namespace}/tags": by("tags", "name"),
    **{f"/v1/{name}": by(name) for name in ("jobs", "audit", "webhooks", "schedules")},
    **{f"/v1/{name}": by(name, "name") for name in ("hosts", "playbooks", "overclouds")},
    "/v1/webhooks/{webhook_id}/deliveries": by("deliveries"),
    "/v1/schedules/{schedule_id}/runs": by("runs"),
}
# Older microversions with other pages: before 2.53 ids of hypervisors are numbers.
OLDER = {"/compute/v2.1/os-hypervisors": "2.33", "/compute/v2.1/os-simple-tenant-usage/{project_id}": "2.40"}
QUERIES = {
    "/v1/audit": "service=image",
    "/compute/v2.1/os-simple-tenant-usage": "detailed=1",
    "/compute/v2.1/flavors": "is_public=None",
}

KEYSTONE, NOVA, NEUTRON, GLANCE = (
    f"{name}'s list has no pages either" for name in ("Keystone", "Nova", "Neutron", "Glance")
)
FIXED = "what it holds does not grow"
UNPAGED = {
    "/identity/v3/auth/projects": KEYSTONE,
    "/identity/v3/auth/domains": KEYSTONE,
    "/identity/v3/auth/system": FIXED,
    "/identity/v3/roles/{prior_id}/implies": KEYSTONE,
    "/identity/v3/role_inferences": KEYSTONE,
    "/identity/v3/role_assignments": "assignments have no ids that could be markers; Keystone's neither",
    "/identity/v3/projects/{project_id}/tags": KEYSTONE,
    "/identity/v3/users/{user_id}/credentials/OS-EC2": KEYSTONE,
    "/identity/v3/OS-TRUST/trusts": KEYSTONE,
    "/identity/v3/OS-TRUST/trusts/{trust_id}/roles": KEYSTONE,
    **{
        f"/identity/v3/{target}/{actor}/{{actor_id}}/roles": KEYSTONE
        for target in ("system", "projects/{target_id}", "domains/{target_id}")
        for actor in ("users", "groups")
    },
    **{
        f"/identity/v3/OS-INHERIT/{target}/{{target_id}}/{actor}/{{actor_id}}/roles/inherited_to_projects": KEYSTONE
        for target in ("projects", "domains")
        for actor in ("users", "groups")
    },
    "/compute/v2.1/servers/{server_id}/metadata": NOVA,
    "/compute/v2.1/servers/{server_id}/tags": NOVA,
    "/compute/v2.1/servers/{server_id}/ips": NOVA,
    "/compute/v2.1/servers/{server_id}/os-interface": NOVA,
    "/compute/v2.1/flavors/{flavor_id}/os-extra_specs": NOVA,
    "/compute/v2.1/flavors/{flavor_id}/os-flavor-access": NOVA,
    "/compute/v2.1/os-availability-zone": NOVA,
    "/compute/v2.1/os-availability-zone/detail": NOVA,
    "/compute/v2.1/os-services": NOVA,
    "/compute/v2.1/extensions": FIXED,
    "/networking/v2.0/extensions": FIXED,
    "/networking/v2.0/quotas": NEUTRON,
    **{f"/networking/v2.0/{name}/{{identifier}}/tags": NEUTRON for name in ("networks", "subnets", "ports")},
    **{f"/networking/v2.0/{name}/{{identifier}}/tags": NEUTRON for name in ("subnetpools", "routers", "floatingips")},
    "/networking/v2.0/network_segment_ranges/{identifier}/tags": NEUTRON,
    "/networking/v2.0/qos/policies/{identifier}/tags": NEUTRON,
    "/image/v2/info/stores": FIXED,
    "/image/v2/info/stores/detail": FIXED,
    "/image/v2/images/{image_id}/tasks": GLANCE,
    "/image/v2/images/{image_id}/members": GLANCE,
    "/image/v2/metadefs/resource_types": GLANCE,
    "/image/v2/metadefs/namespaces/{namespace}/resource_types": GLANCE,
    "/image/v2/metadefs/namespaces/{namespace}/properties": GLANCE,
}
VERSIONS = "versions of the API"
ONE = "shows one thing"
NO_LISTS = {
    **dict.fromkeys(("/identity", "/identity/v3", "/compute", "/compute/v2", "/compute/v2.1"), VERSIONS),
    **dict.fromkeys(("/networking", "/networking/v2.0", "/image", "/image/v2", "/image/versions", "/v1"), VERSIONS),
    **dict.fromkeys(("/identity/v3/auth/tokens", "/identity/v3/auth/catalog"), ONE),
    "/identity/v3/OS-INHERIT/.*/roles/{role_id}/inherited_to_projects": ONE,
    **{f"/compute{empty.path}": "empty until this cloud has such a thing" for empty in not_offered.LISTS},
    **{f"/networking/v2.0/{path}": "empty until this cloud has such a thing" for path in absent.USUAL},
    "/compute/v2.1/servers/{server_id}/diagnostics": ONE,
    "/compute/v2.1/servers/{server_id}/os-server-password": ONE,
    "/compute/metadata": "the metadata of one server",
    "/compute/v2.1/limits": ONE,
    "/compute/v2.1/os-instance_usage_audit_log": ONE,
    "/compute/v2.1/os-quota-sets/{project_id}/(defaults|detail)": ONE,
    "/compute/v2.1/os-hypervisors/(statistics|{hypervisor_id}/uptime)": ONE,
    "/compute/v2.1/os-hypervisors/{pattern}/(search|servers)": "until 2.52; Nova's has no pages either",
    "/compute/v2.1/os-floating-(ips|ip-pools)": "until 2.35; Nova's has no pages either",
    "/networking/v2.0/quotas/{project_id}/(default|details|details.json)": ONE,
    "/networking/v2.0/qos/rule-types": "as many as the switch has",
    "/networking/v2.0/qos/policies/{policy_id}/.*_rules": "a policy has at most two rules of a type",
    "/image/v2/images/{image_id}/file": ONE,
    "/image/v2/info/(import|usage)": ONE,
    "/v1/(jobs/{job_id}/|resources/{kind}/{key}/|)follow": "a stream of events",
}


def routes() -> Iterator[str]:
    """Return the paths that can be lists: those that do not end with the id of a row."""
    for service in registry.services():
        for route in (route for router in service.routers for route in router.routes):
            path = service.prefix + getattr(route, "path", "").rstrip("/")
            if "GET" not in (getattr(route, "methods", None) or ()):
                continue
            if path.endswith("/{plural}"):
                yield from (path.replace("{plural}", name) for name in ("objects", "tags", "properties"))
            elif path in PAGED or not path.endswith("}"):
                yield path


def test_every_list_is_in_a_table() -> None:
    found = set(routes())
    known = {re.escape(path) for path in (*PAGED, *UNPAGED)} | {_pattern(path) for path in NO_LISTS}
    assert not [path for path in found if not any(re.fullmatch(each, path) for each in known)]
    assert not [each for each in known if not any(re.fullmatch(each, path) for path in found)]


def _pattern(path: str) -> str:
    return path.replace("{", r"\{").replace("}", r"\}")


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    return make_rows(api)


class Lists:
    """Requests for lists, by an administrator."""

    def __init__(self, api: Api, admin: Connection, ids: dict[str, str]) -> None:
        self.api, self.session, self.ids = api, admin.session, ids

    def path(self, route: str, query: str) -> str:
        """Return the route with ids of rows; the value of a parameter depends on the path before it."""
        filled = re.sub(r"([^/]+)/\{\w+\}", lambda found: f"{found[1]}/{self.ids[found[1]]}", route)
        return f"{filled}?{'&'.join(filter(None, (QUERIES.get(route.removesuffix('/detail'), ''), query)))}"

    def get(self, path: str, version: str = "2.96") -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return self.session.get(urljoin(self.api.url, path), headers=headers, raise_exc=False)

    def walk(self, route: str, query: str, version: str) -> Iterator[Body]:
        """Yield the pages, following the links to the next page."""
        path: str | None = self.path(route, query)
        while path:
            answer = self.get(path, version)
            assert answer.status_code == 200, answer.text
            yield answer.json()
            path = following(answer.json())
            if path and path.startswith("/v2/"):
                path = f"/image{path}"  # Glance's links are relative to the endpoint


def following(body: Body) -> str | None:
    """Return the link to the next page, in the form of any service."""
    if isinstance(body.get("next"), str):
        return str(body["next"])
    for name, links in body.items():
        if name == "links" and isinstance(links, dict):
            found = links.get("next")
            return found if isinstance(found, str) else None
        if name == "links" or name.endswith("_links"):
            return next((link["href"] for link in links if link["rel"] == "next"), None)
    return None


@pytest.fixture
def lists(api: Api, admin: Connection, ids: dict[str, str]) -> Lists:
    return Lists(api, admin, ids)


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize(
    ("route", "version"), [*((route, "2.96") for route in PAGED), *OLDER.items()], ids=lambda value: value
)
def test_pages(lists: Lists, route: str, version: str, limit: int) -> None:
    rows = PAGED[route]
    [whole] = lists.walk(route, "limit=1000", version)
    everything = rows(whole)
    assert len(everything) >= 3 and len(set(everything)) == len(everything)
    found: list[str] = []
    for page in lists.walk(route, f"limit={limit}", version):
        assert 1 <= len(rows(page)) <= limit
        found += rows(page)
        assert len(found) <= len(everything), "the pages do not end"
    assert found == everything


@pytest.mark.parametrize("route", PAGED)
def test_bad_paging_parameters_are_refused(lists: Lists, route: str) -> None:
    for query in ("limit=-1", "limit=x", "limit=", "limit=99999999999999999999", "marker=nothing", "marker="):
        assert lists.get(lists.path(route, query)).status_code in (400, 404), query


@pytest.mark.parametrize("route", UNPAGED)
def test_lists_without_pages_are_complete(lists: Lists, route: str) -> None:
    whole = lists.get(lists.path(route, ""))
    assert whole.status_code == 200, whole.text
    part = lists.get(lists.path(route, "limit=1&marker=x"))
    if part.status_code == 400 and route.startswith("/compute"):
        return  # from some microversion on, Nova refuses unknown parameters of a list
    assert following(whole.json()) is None and following(part.json()) is None
    assert {**part.json(), "links": None} == {**whole.json(), "links": None}


# Before these microversions there are no pages, and no links.
UNTIL = {
    "/compute/v2.1/os-simple-tenant-usage": "2.39",
    "/compute/v2.1/os-simple-tenant-usage/{project_id}": "2.39",
    "/compute/v2.1/os-keypairs": "2.34",
    "/compute/v2.1/os-hypervisors": "2.32",
    "/compute/v2.1/os-hypervisors/detail": "2.32",
    "/compute/v2.1/servers/{server_id}/os-instance-actions": "2.57",
}


@pytest.mark.parametrize("route", UNTIL)
def test_older_microversions_have_no_pages(lists: Lists, route: str) -> None:
    answer = lists.get(lists.path(route, "limit=1&marker=nothing"), UNTIL[route])
    assert answer.status_code == 200 and following(answer.json()) is None
    assert len(PAGED[route](answer.json())) >= 3


NETWORK = [route for route in PAGED if route.startswith("/networking")]


@pytest.mark.parametrize("route", NETWORK)
def test_neutron_has_reverse_pages(lists: Lists, route: str) -> None:
    pages = [PAGED[route](page) for page in lists.walk(route, "limit=2", "")]
    path: str | None = lists.path(route, "limit=2&page_reverse=True")
    found: list[str] = []
    while path:
        body = lists.get(path).json()
        found = PAGED[route](body) + found
        links = next((links for name, links in body.items() if name.endswith("_links")), [])
        path = next((link["href"] for link in links if link["rel"] == "previous"), None)
    assert found == [row for page in pages for row in page]


def test_deleting_a_row_between_two_pages_hides_no_other_row(lists: Lists, admin: Connection) -> None:
    made = [admin.network.create_network(name=f"gone-{index}").id for index in range(4)]
    query = "limit=2&sort_key=name&sort_dir=asc&" + "&".join(f"id={network}" for network in made)
    first, *_ = lists.walk("/networking/v2.0/networks", query, "")
    admin.network.delete_network(made[0])
    link = following(first)
    assert link and [network["id"] for network in lists.get(link).json()["networks"]] == made[2:]


def test_openstacksdk_ends_with_the_last_page_of_address_usage(admin: Connection) -> None:
    """It asks for a page after the last row, whose `id` is the marker."""
    made = {admin.network.create_network(name=f"usage-{index}").id for index in range(2)}
    listed = list(islice(admin.network.network_ip_availabilities(limit=1), 100))
    assert len(listed) < 100 and made <= {each.network_id for each in listed}


def test_a_marker_that_no_longer_matches_the_filter_is_valid(lists: Lists, admin: Connection) -> None:
    made = [admin.network.create_network(name=f"kept-{index}", description="old").id for index in range(3)]
    query = "description=old&sort_key=name&sort_dir=asc&limit=1"
    first, *_ = lists.walk("/networking/v2.0/networks", query, "")
    admin.network.update_network(made[0], description="new")
    link = following(first)
    assert link and [network["id"] for network in lists.get(link).json()["networks"]] == [made[1]]
