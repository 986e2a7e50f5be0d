"""RBAC policies: networks and subnet pools that are shared with single projects, or with all."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Nova, make_fixtures
from contract.conftest import Api
from contract.network_helpers import error_type, request
from skywright.services.network.tables import RbacPolicy

NOWHERE, LONG = "00000000-0000-4000-8000-000000000000", "x" * 65


@pytest.fixture
def network(api: Api, demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="ours")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.7.0.0/24")
    yield network
    with api.connect() as admin:
        for port in admin.network.ports(network_id=network.id):
            admin.network.delete_port(port)
        admin.network.delete_network(network, ignore_missing=True)


def policy(network: Any, target: str, **more: str) -> dict[str, Any]:
    body = {"object_type": "network", "object_id": network.id, "target_tenant": target, "action": "access_as_shared"}
    return {"rbac_policy": body | more}


def share(connection: Connection, network: Any, target: str, **more: str) -> Any:
    answer = request(connection, "POST", "/rbac-policies", policy(network, target, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()["rbac_policy"]


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, error_type(answer), answer.json()["NeutronError"]["message"]


def in_use(network: Any) -> tuple[int, str, str]:
    text = (
        f"RBAC policy on object {network.id} cannot be removed because other objects depend on it.\nDetails: Unable to "
        f"reconfigure sharing settings for network {network.id}. Multiple projects are using it."
    )
    return 409, "RbacPolicyInUse", text


def test_a_network_is_shared_with_one_project(
    admin: Connection, demo: Connection, alt: Connection, network: Any
) -> None:
    mine, theirs = demo.current_project_id, alt.current_project_id
    made = share(demo, network, theirs)
    assert {name: value for name, value in made.items() if name != "id"} == {
        "object_type": "network",
        "object_id": network.id,
        "target_tenant": theirs,
        "action": "access_as_shared",
        "project_id": mine,
        "tenant_id": mine,
    }
    seen = {who: who.network.get_network(network.id).is_shared for who in (demo, alt, admin)}
    assert seen == {demo: False, alt: True, admin: False}
    for path in (f"/networks?id={network.id}&shared=", f"/subnets?network_id={network.id}&shared="):
        found = {
            (who, shared): len(next(iter(request(who, "GET", f"{path}{shared}").json().values())))
            for who in (demo, alt)
            for shared in (True, False)
        }
        assert found == {(demo, True): 0, (demo, False): 1, (alt, True): 1, (alt, False): 0}
    subnet = demo.network.get_network(network.id).subnet_ids[0]
    assert alt.network.get_subnet(subnet).cidr == "10.7.0.0/24"
    port = alt.network.create_port(network_id=network.id)
    assert port.fixed_ips[0]["subnet_id"] == subnet
    # The network's owner sees all its ports; other projects with access see their own.
    own = demo.network.create_port(network_id=network.id)
    assert {row.id for row in demo.network.ports(network_id=network.id)} == {port.id, own.id}
    assert [row.id for row in alt.network.ports(network_id=network.id)] == [port.id]
    # Access is no ownership.
    for method, path, body in (
        ("PUT", f"/networks/{network.id}", {"network": {"name": "x"}}),
        ("DELETE", f"/networks/{network.id}", None),
        ("PUT", f"/subnets/{subnet}", {"subnet": {"name": "x"}}),
        ("POST", "/subnets", {"subnet": {"network_id": network.id, "ip_version": 4, "cidr": "10.8.0.0/24"}}),
        ("POST", "/ports", {"port": {"network_id": network.id, "mac_address": "fa:16:3e:00:00:01"}}),
    ):
        assert request(alt, method, path, body).status_code == 403


def test_a_policy_is_kept_while_ports_need_it(demo: Connection, alt: Connection, network: Any) -> None:
    path = f"/rbac-policies/{share(demo, network, alt.current_project_id)['id']}"
    port = alt.network.create_port(network_id=network.id)
    change = {"rbac_policy": {"target_tenant": demo.current_project_id}}
    assert refusal(request(demo, "DELETE", path)) == in_use(network)
    assert refusal(request(demo, "PUT", path, change)) == in_use(network)
    alt.network.delete_port(port)
    assert request(demo, "DELETE", path).status_code == 204
    assert request(alt, "GET", f"/networks/{network.id}").status_code == 404
    body = {"port": {"network_id": network.id}}
    assert error_type(request(alt, "POST", "/ports", body)) == "NetworkNotFound"
    assert request(demo, "DELETE", path).status_code == 404


def test_another_policy_keeps_the_access_of_ports(
    admin: Connection, demo: Connection, alt: Connection, network: Any
) -> None:
    theirs = share(demo, network, alt.current_project_id)
    everyones = share(admin, network, "*")
    port = alt.network.create_port(network_id=network.id)
    assert request(demo, "DELETE", f"/rbac-policies/{theirs['id']}").status_code == 204
    assert refusal(request(admin, "DELETE", f"/rbac-policies/{everyones['id']}")) == in_use(network)
    unshare = request(admin, "PUT", f"/networks/{network.id}", {"network": {"shared": False}})
    assert (unshare.status_code, error_type(unshare)) == (409, "InvalidSharedSetting")
    share(demo, network, alt.current_project_id)
    assert request(admin, "DELETE", f"/rbac-policies/{everyones['id']}").status_code == 204
    assert alt.network.get_port(port.id).network_id == network.id


def test_a_target_is_changed(demo: Connection, alt: Connection, network: Any) -> None:
    made = share(demo, network, alt.current_project_id)
    changed = request(
        demo, "PUT", f"/rbac-policies/{made['id']}", {"rbac_policy": {"target_tenant": made["project_id"]}}
    )
    assert changed.json()["rbac_policy"] == made | {"target_tenant": made["project_id"]}
    assert request(alt, "GET", f"/networks/{network.id}").status_code == 404
    assert demo.network.get_network(network.id).is_shared
    for name in ("object_id", "object_type", "action", "project_id", "id"):
        refused = request(demo, "PUT", f"/rbac-policies/{made['id']}", {"rbac_policy": {name: made[name]}})
        assert refused.status_code == 400
        assert refused.json()["NeutronError"]["message"] == f"Cannot update read-only attribute {name}"


def test_shared_is_a_policy_for_all_projects(admin: Connection, alt: Connection, network: Any) -> None:
    def listed() -> list[Any]:
        return [row.target_project_id for row in admin.network.rbac_policies(object_id=network.id)]

    assert listed() == []
    for _ in range(2):
        assert admin.network.update_network(network, is_shared=True).is_shared
        assert listed() == ["*"]
    assert alt.network.get_network(network.id).is_shared
    assert not admin.network.update_network(network, is_shared=False).is_shared
    assert listed() == []
    assert request(alt, "GET", f"/networks/{network.id}").status_code == 404
    share(admin, network, "*")
    assert alt.network.get_network(network.id).is_shared and admin.network.get_network(network.id).is_shared


def test_policies_are_new_revisions_of_their_network(demo: Connection, alt: Connection, network: Any) -> None:
    def revision() -> int:
        return int(demo.network.get_network(network.id).revision_number)

    before = revision()
    made = share(demo, network, alt.current_project_id)
    assert revision() == before + 1
    assert request(demo, "DELETE", f"/rbac-policies/{made['id']}").status_code == 204
    assert revision() == before + 2


def test_policies_end_with_their_network(api: Api, demo: Connection, alt: Connection, network: Any) -> None:
    share(demo, network, alt.current_project_id)
    demo.network.delete_network(network)
    with api.cloud.database.read() as session:
        assert session.query(RbacPolicy).filter_by(object_id=network.id).count() == 0


def test_a_server_of_another_project_is_booted_on_a_shared_network(
    api: Api, admin: Connection, demo: Connection, alt: Connection, network: Any
) -> None:
    fixtures, nova = make_fixtures(api, admin, demo), Nova(alt, api.url)
    body = fixtures.body(networks=[{"uuid": network.id}])
    assert nova("POST", "/servers", body).status_code == 400
    share(demo, network, alt.current_project_id)
    for wish in ([{"uuid": network.id}], "auto"):
        assert nova("POST", "/servers", fixtures.body(networks=wish)).status_code == 202
    assert len(list(alt.network.ports(network_id=network.id))) == 2


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            {"object_type": "port"},
            "InvalidInput",
            "Invalid input for operation: 'port' is not a valid RBAC object type.",
        ),
        (
            {"action": "access_as_owner"},
            "InvalidActionForType",
            "Invalid action 'access_as_owner' for object type 'network'. Valid actions: ('access_as_shared', "
            "'access_as_external')",
        ),
        ({"object_id": NOWHERE}, "InvalidInput", f"Invalid input for operation: Network {NOWHERE} could not be found."),
        ({"target_tenant": "0a0b"}, "HTTPBadRequest", "Project ID 0a0b is not a valid project."),
        ({"target_tenant": ""}, "HTTPBadRequest", "Project ID  is not a valid project."),
        (
            {"target_tenant": LONG},
            "HTTPBadRequest",
            f"Invalid input for target_tenant. Reason: '{LONG}' exceeds maximum length of 64.",
        ),
    ],
)
def test_invalid_policies_are_refused(
    demo: Connection, network: Any, change: dict[str, str], kind: str, message: str
) -> None:
    body = policy(network, demo.current_project_id, **change)
    assert refusal(request(demo, "POST", "/rbac-policies", body)) == (400, kind, message)


@pytest.mark.parametrize("name", ["object_type", "object_id", "target_tenant", "action"])
def test_all_attributes_are_required(demo: Connection, network: Any, name: str) -> None:
    body = policy(network, demo.current_project_id)
    del body["rbac_policy"][name]
    assert request(demo, "POST", "/rbac-policies", body).status_code == 400


def test_a_policy_is_made_once(demo: Connection, alt: Connection, network: Any) -> None:
    share(demo, network, alt.current_project_id)
    own = share(demo, network, demo.current_project_id)
    twice = (409, "DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
    body = policy(network, alt.current_project_id)
    assert refusal(request(demo, "POST", "/rbac-policies", body)) == twice
    change = {"rbac_policy": {"target_tenant": alt.current_project_id}}
    assert refusal(request(demo, "PUT", f"/rbac-policies/{own['id']}", change)) == twice


def test_policies_have_a_quota(admin: Connection, demo: Connection, alt: Connection, network: Any) -> None:
    project = demo.current_project_id
    assert request(demo, "GET", f"/quotas/{project}/default").json()["quota"]["rbac_policy"] == 10
    assert request(admin, "PUT", f"/quotas/{project}", {"quota": {"rbac_policy": 1}}).status_code == 200
    share(demo, network, demo.current_project_id)
    refused = request(demo, "POST", "/rbac-policies", policy(network, alt.current_project_id))
    assert refusal(refused) == (409, "OverQuota", "Quota exceeded for resources: ['rbac_policy'].")
    usage = request(demo, "GET", f"/quotas/{project}/details").json()["quota"]["rbac_policy"]
    assert usage == {"limit": 1, "used": 1, "reserved": 0}
    assert request(admin, "DELETE", f"/quotas/{project}").status_code == 204


def test_a_subnet_pool_is_shared_with_one_project(admin: Connection, demo: Connection, alt: Connection) -> None:
    pool = demo.network.create_subnet_pool(name="pool", prefixes=["10.60.0.0/16"], default_prefixlen=24)
    assert request(alt, "GET", f"/subnetpools/{pool.id}").status_code == 404
    made = share(demo, pool, alt.current_project_id, object_type="subnetpool")
    assert alt.network.get_subnet_pool(pool.id).is_shared
    assert not demo.network.get_subnet_pool(pool.id).is_shared
    network = alt.network.create_network(name="theirs")
    subnet = alt.network.create_subnet(network_id=network.id, ip_version=4, subnet_pool_id=pool.id)
    assert subnet.cidr == "10.60.0.0/24"
    kept = request(demo, "DELETE", f"/rbac-policies/{made['id']}")
    text = (
        f"RBAC policy on object {pool.id} cannot be removed because other objects depend on it.\nDetails: project_id="
    )
    assert refusal(kept) == (409, "RbacPolicyInUse", f"{text}{alt.current_project_id}")
    alt.network.delete_network(network)
    assert request(demo, "DELETE", f"/rbac-policies/{made['id']}").status_code == 204
    everyones = admin.network.create_subnet_pool(name="everyones", prefixes=["10.61.0.0/16"], is_shared=True)
    policies = [row.target_project_id for row in admin.network.rbac_policies(object_id=everyones.id)]
    assert (policies, alt.network.get_subnet_pool(everyones.id).is_shared) == (["*"], True)
    for row in (pool, everyones):
        admin.network.delete_subnet_pool(row)
    assert list(admin.network.rbac_policies(object_id=everyones.id)) == []
