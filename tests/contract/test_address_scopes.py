"""Address scopes, their subnet pools, and the subnets of their networks."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import error_type, request

NOWHERE = "00000000-0000-4000-8000-000000000000"


def make(connection: Connection, path: str, kind: str, **values: object) -> Any:
    """Create with a plain request; return the resource, or the whole answer if it is refused."""
    answer = request(connection, "POST", f"/{path}", {kind: values})
    return answer.json()[kind] if answer.status_code == 201 else answer


def scope(connection: Connection, **values: object) -> Any:
    return make(connection, "address-scopes", "address_scope", **{"name": "scope", "ip_version": 4} | values)


def pool(connection: Connection, prefix: str, address_scope: Any = None, **values: object) -> Any:
    wanted = {"prefixes": [prefix], "address_scope_id": address_scope and address_scope["id"], **values}
    return make(connection, "subnetpools", "subnetpool", **wanted)


def subnet(connection: Connection, network: Any, subnet_pool: Any = None, **values: object) -> Any:
    wanted = {"network_id": network.id, "ip_version": 4, **values}
    if subnet_pool:
        wanted |= {"subnetpool_id": subnet_pool["id"], "prefixlen": 24 if wanted["ip_version"] == 4 else 64}
    return make(connection, "subnets", "subnet", **wanted)


def change(connection: Connection, subnet_pool: Any, **values: object) -> Any:
    return request(connection, "PUT", f"/subnetpools/{subnet_pool['id']}", {"subnetpool": values})


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, error_type(answer), answer.json()["NeutronError"]["message"]


CONFLICT = (
    409,
    "AddressScopePrefixConflict",
    "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
)
SAME_SCOPE = (
    400,
    "NetworkAddressScopeAffinityError",
    "Subnets of the same address family hosted on the same network must all participate in the same address scope.",
)
SAME_POOL = (
    400,
    "NetworkSubnetPoolAffinityError",
    "Subnets hosted on the same network must be allocated from the same subnet pool.",
)


@pytest.fixture
def network(demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="scoped")
    yield network
    demo.network.delete_network(network)


@pytest.fixture(autouse=True)
def tidy(admin: Connection) -> Iterator[None]:
    yield
    for path, kind in (("networks", "networks"), ("subnetpools", "subnetpools"), ("address-scopes", "address_scopes")):
        for row in request(admin, "GET", f"/{path}").json()[kind]:
            assert request(admin, "DELETE", f"/{path}/{row['id']}").status_code in (204, 404)


def test_the_attributes_of_a_scope(admin: Connection, demo: Connection, alt: Connection) -> None:
    made = scope(demo)
    mine = demo.current_project_id
    assert made == {
        "id": made["id"], "name": "scope", "ip_version": 4, "shared": False, "project_id": mine, "tenant_id": mine,
    }  # fmt: skip
    path = f"/address-scopes/{made['id']}"
    renamed = request(demo, "PUT", path, {"address_scope": {"name": "renamed"}})
    assert renamed.json()["address_scope"] == made | {"name": "renamed"}
    version = request(demo, "PUT", path, {"address_scope": {"ip_version": 6}})
    assert refusal(version) == (400, "HTTPBadRequest", "Cannot update read-only attribute ip_version")
    assert request(demo, "PUT", path, {"address_scope": {"shared": True}}).status_code == 403
    assert scope(demo, shared=True).status_code == 403
    missing = (404, "AddressScopeNotFound", f"Address scope {made['id']} could not be found.")
    for method, body in (("GET", None), ("PUT", {"address_scope": {"name": "x"}}), ("DELETE", None)):
        assert refusal(request(alt, method, path, body)) == missing
    assert request(admin, "PUT", path, {"address_scope": {"shared": True}}).json()["address_scope"]["shared"]
    assert request(alt, "GET", path).json()["address_scope"]["shared"]
    kept = request(admin, "PUT", path, {"address_scope": {"shared": False}})
    text = f"Unable to update address scope {made['id']} : Shared address scope can't be unshared."
    assert refusal(kept) == (400, "AddressScopeUpdateError", text)
    assert request(alt, "DELETE", path).status_code == 403
    assert request(demo, "DELETE", path).status_code == 204


@pytest.mark.parametrize("version", [None, 5, "x", True])
def test_invalid_versions_are_refused(demo: Connection, version: object) -> None:
    assert scope(demo, ip_version=version).status_code == 400
    assert make(demo, "address-scopes", "address_scope", name="none").status_code == 400


def test_pools_of_a_scope_have_different_prefixes(demo: Connection) -> None:
    one, other = scope(demo), scope(demo)
    first = pool(demo, "10.40.0.0/16", one)
    assert first["address_scope_id"] == one["id"]
    assert refusal(pool(demo, "10.40.1.0/24", one)) == CONFLICT
    second = pool(demo, "10.40.1.0/24", other)
    assert refusal(change(demo, second, address_scope_id=one["id"])) == CONFLICT
    third = pool(demo, "10.41.0.0/16", one)
    assert refusal(change(demo, third, prefixes=["10.40.0.0/15"])) == CONFLICT
    listed = request(demo, "GET", f"/subnetpools?address_scope_id={one['id']}&sort_key=address_scope_id").json()
    assert {row["id"] for row in listed["subnetpools"]} == {first["id"], third["id"]}
    text = (
        f"Unable to complete operation on address scope {one['id']}. There are one or more subnet pools in use on the "
        "address scope."
    )
    assert refusal(request(demo, "DELETE", f"/address-scopes/{one['id']}")) == (409, "AddressScopeInUse", text)
    assert change(demo, first, address_scope_id=None).json()["subnetpool"]["address_scope_id"] is None
    assert change(demo, second, address_scope_id=one["id"]).status_code == 200


def test_a_pool_and_its_scope_have_the_same_ip_version(demo: Connection) -> None:
    six, four = scope(demo, ip_version=6), pool(demo, "10.40.0.0/16")
    text = (
        f"Illegal subnetpool association: subnetpool {four['id']} cannot associate with address scope {six['id']} "
        "because subnetpool ip_version is not 6."
    )
    kind = "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    assert refusal(change(demo, four, address_scope_id=six["id"])) == (400, kind, text)
    assert refusal(pool(demo, "10.41.0.0/16", six))[:2] == (400, kind)
    assert pool(demo, "fd00::/48", six)["address_scope_id"] == six["id"]
    missing = (404, "AddressScopeNotFound", f"Address scope {NOWHERE} could not be found.")
    assert refusal(change(demo, four, address_scope_id=NOWHERE)) == missing


def test_the_subnets_of_a_network_are_of_one_scope(demo: Connection, network: Any) -> None:
    def scopes() -> tuple[str | None, str | None]:
        shown = demo.network.get_network(network.id)
        return shown.ipv4_address_scope_id, shown.ipv6_address_scope_id

    mine, six, other = scope(demo), scope(demo, ip_version=6), scope(demo)
    first, second = pool(demo, "10.40.0.0/16", mine), pool(demo, "10.41.0.0/16", mine)
    assert scopes() == (None, None)
    assert subnet(demo, network, first)["subnetpool_id"] == first["id"]
    assert scopes() == (mine["id"], None)
    # Another pool of the same scope, and another scope for the other IP version.
    assert subnet(demo, network, second)["subnetpool_id"] == second["id"]
    made = subnet(demo, network, pool(demo, "fd00::/48", six), ip_version=6)
    assert made["ip_version"] == 6
    assert scopes() == (mine["id"], six["id"])
    assert refusal(subnet(demo, network, pool(demo, "10.42.0.0/16", other))) == SAME_SCOPE
    assert refusal(subnet(demo, network, pool(demo, "10.43.0.0/16"))) == SAME_SCOPE
    assert refusal(subnet(demo, network, cidr="10.44.0.0/24")) == SAME_POOL
    # A pool does not leave the scope while the network has subnets of another pool of the scope.
    for value in (other["id"], None):
        assert refusal(change(demo, first, address_scope_id=value)) == SAME_SCOPE
    assert change(demo, first, name="renamed").status_code == 200
    for name in ("ipv4_address_scope", "ipv6_address_scope"):
        refused = request(demo, "PUT", f"/networks/{network.id}", {"network": {name: other["id"]}})
        assert refusal(refused) == (400, "HTTPBadRequest", f"Cannot update read-only attribute {name}")


def test_the_subnets_of_a_network_without_scope_are_of_one_pool(demo: Connection, network: Any) -> None:
    first, second = pool(demo, "10.40.0.0/16"), pool(demo, "10.41.0.0/16", scope(demo))
    made = subnet(demo, network, first)
    for refused in (subnet(demo, network, second), subnet(demo, network, cidr="10.44.0.0/24")):
        assert refusal(refused) == SAME_POOL
    assert subnet(demo, network, first)["cidr"] == "10.40.1.0/24"
    assert subnet(demo, network, ip_version=6, cidr="fd00::/64")["subnetpool_id"] is None
    assert made["subnetpool_id"] == first["id"]


def test_a_network_follows_the_scope_of_its_pool(demo: Connection, network: Any) -> None:
    first, mine = pool(demo, "10.40.0.0/16"), scope(demo)
    subnet(demo, network, first)
    assert change(demo, first, address_scope_id=mine["id"]).status_code == 200
    assert demo.network.get_network(network.id).ipv4_address_scope_id == mine["id"]
    assert change(demo, first, address_scope_id=None).status_code == 200
    assert demo.network.get_network(network.id).ipv4_address_scope_id is None


def test_a_scope_is_shared_with_one_project(admin: Connection, demo: Connection, alt: Connection) -> None:
    mine, theirs = scope(demo), alt.current_project_id
    hidden = (404, "AddressScopeNotFound", f"Address scope {mine['id']} could not be found.")
    assert refusal(pool(alt, "10.40.0.0/16", mine)) == hidden

    def share(kind: str, row: Any, target: str) -> Any:
        body = {"object_type": kind, "object_id": row["id"], "action": "access_as_shared", "target_tenant": target}
        return make(demo if target == theirs else admin, "rbac-policies", "rbac_policy", **body)

    # A pool is shared only with projects that can use its scope.
    shared = pool(demo, "10.41.0.0/16", mine)
    text = (
        f"Invalid input for operation: Failed to create RBAC policy on object {shared['id']} because target project "
        "doesn't have access to associated address scope."
    )
    for target in (theirs, "*"):
        assert refusal(share("subnetpool", shared, target)) == (400, "InvalidInput", text)
    assert refusal(pool(admin, "10.49.0.0/16", mine, shared=True))[:2] == (400, "InvalidInput")
    policy = share("address_scope", mine, theirs)
    assert policy["object_type"] == "address_scope"
    assert share("subnetpool", shared, theirs)["target_tenant"] == theirs
    used = pool(alt, "10.40.0.0/16", mine)
    assert used["address_scope_id"] == mine["id"]
    refused = (
        400,
        "IllegalSubnetPoolUpdate",
        f"Illegal subnetpool update : subnetpool {used['id']} cannot be updated when associated with shared address "
        f"scope {mine['id']}.",
    )
    assert refusal(change(alt, used, name="x")) == refused
    kept = request(demo, "DELETE", f"/rbac-policies/{policy['id']}")
    text = f"RBAC policy on object {mine['id']} cannot be removed because other objects depend on it.\n"
    assert refusal(kept) == (409, "RbacPolicyInUse", f"{text}Details: project_id={theirs}")
    assert request(alt, "DELETE", f"/subnetpools/{used['id']}").status_code == 204
    assert request(demo, "DELETE", f"/rbac-policies/{policy['id']}").status_code == 204
