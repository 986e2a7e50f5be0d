"""External networks: who sees them, and what may be done on them."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request
from contract.router_helpers import change, make, refusal, show

FLAG = "router:external"


@pytest.fixture
def external(admin: Connection) -> str:
    network = str(make(admin, "network", name="public", **{FLAG: True})["id"])
    make(admin, "subnet", network_id=network, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    return network


def policies(admin: Connection, network: str) -> list[tuple[str, str]]:
    found = request(admin, "GET", f"/rbac-policies?object_id={network}").json()["rbac_policies"]
    return sorted((row["action"], row["target_tenant"]) for row in found)


def test_all_projects_see_it_but_have_no_ports_there(demo: Connection, external: str) -> None:
    network = show(demo, "network", external)
    assert (network[FLAG], network["shared"], network["is_default"]) == (True, False, False)
    assert network["subnets"] and show(demo, "subnet", network["subnets"][0])[FLAG] is True
    answer = request(demo, "POST", "/ports", {"port": {"network_id": external}})
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (403, "PolicyNotAuthorized")
    assert request(demo, "PUT", f"/networks/{external}", {"network": {"name": "mine"}}).status_code == 403
    assert request(demo, "DELETE", f"/networks/{external}").status_code == 403


def test_lists_are_filtered(demo: Connection, external: str) -> None:
    private = make(demo, "network", name="private")["id"]
    make(demo, "subnet", network_id=private, ip_version=4, cidr="10.1.0.0/24")

    def found(path: str) -> set[str]:
        return {row.get("network_id", row["id"]) for row in next(iter(request(demo, "GET", path).json().values()))}

    for path in ("/networks", "/subnets"):
        assert external in found(f"{path}?{FLAG}=True") and private not in found(f"{path}?{FLAG}=True")
        assert private in found(f"{path}?{FLAG}=False") and external not in found(f"{path}?{FLAG}=False")
    assert request(demo, "GET", f"/networks?{FLAG}=perhaps").status_code == 400


def test_only_administrators_make_networks_external(admin: Connection, demo: Connection, external: str) -> None:
    for values in ({FLAG: True}, {"is_default": True}):
        assert request(demo, "POST", "/networks", {"network": values}).status_code == 403
    own = make(demo, "network")["id"]
    assert request(demo, "PUT", f"/networks/{own}", {"network": {FLAG: True}}).status_code == 403
    assert change(admin, "network", own, **{FLAG: True})[FLAG] is True
    assert policies(admin, own) == [("access_as_external", "*")]
    assert change(admin, "network", own, **{FLAG: False})[FLAG] is False
    assert policies(admin, own) == []


def test_one_network_is_the_default(admin: Connection, external: str) -> None:
    other = make(admin, "network", **{FLAG: True})["id"]
    assert change(admin, "network", external, is_default=True)["is_default"] is True
    refused = request(admin, "PUT", f"/networks/{other}", {"network": {"is_default": True}})
    text = f"A default external network already exists: {external}."
    assert refusal(refused) == (409, "DefaultExternalNetworkExists", text)
    (policy,) = request(admin, "GET", f"/rbac-policies?object_id={external}").json()["rbac_policies"]
    kept = refusal(request(admin, "DELETE", f"/rbac-policies/{policy['id']}"))
    assert kept[:2] == (409, "RbacPolicyInUse") and "Default external networks must be shared" in kept[2]
    found = request(admin, "GET", "/networks?is_default=True").json()["networks"]
    assert [row["id"] for row in found] == [external]
    assert change(admin, "network", external, is_default=False)["is_default"] is False
    private = make(admin, "network")["id"]
    assert request(admin, "PUT", f"/networks/{private}", {"network": {"is_default": True}}).status_code == 400


def test_an_external_network_of_one_project(admin: Connection, demo: Connection, alt: Connection) -> None:
    network = make(admin, "network", name="theirs")["id"]
    make(admin, "subnet", network_id=network, ip_version=4, cidr="203.0.114.0/24")
    body = {"object_type": "network", "object_id": network, "action": "access_as_external"}
    made = make_policy(admin, body | {"target_tenant": demo.current_project_id})
    assert show(admin, "network", network)[FLAG] is True  # the policy makes it one
    assert show(demo, "network", network)[FLAG] is True
    assert request(alt, "GET", f"/networks/{network}").status_code == 404
    refused = request(alt, "POST", "/routers", {"router": {"external_gateway_info": {"network_id": network}}})
    assert refusal(refused) == (404, "NetworkNotFound", f"Network {network} could not be found.")

    router = make(demo, "router", external_gateway_info={"network_id": network})["id"]
    text = (
        f"RBAC policy on object {network} cannot be removed because other objects depend on it.\nDetails: There are "
        "routers attached to this network that depend on this policy for access."
    )
    assert refusal(request(admin, "DELETE", f"/rbac-policies/{made['id']}")) == (409, "RbacPolicyInUse", text)
    in_use = request(admin, "PUT", f"/networks/{network}", {"network": {FLAG: False}})
    assert refusal(in_use)[:2] == (409, "ExternalNetworkInUse")
    assert request(demo, "DELETE", f"/routers/{router}").status_code == 204
    assert request(admin, "DELETE", f"/rbac-policies/{made['id']}").status_code == 204
    assert show(admin, "network", network)[FLAG] is False


def make_policy(admin: Connection, values: dict[str, Any]) -> Any:
    answer = request(admin, "POST", "/rbac-policies", {"rbac_policy": values})
    assert answer.status_code == 201, answer.text
    return answer.json()["rbac_policy"]
