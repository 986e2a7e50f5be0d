"""Helpers of the tests of routers and floating IPs."""

from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from contract.network_helpers import request

NOWHERE = "00000000-0000-4000-8000-000000000000"


def refusal(answer: Any) -> tuple[int, str, str]:
    """The status, type and message of an error."""
    error = answer.json()["NeutronError"]
    return answer.status_code, error["type"], error["message"]


def make(connection: Connection, kind: str, **values: Any) -> Any:
    """A new resource of a kind, such as router."""
    answer = request(connection, "POST", f"/{kind}s", {kind: values})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


def change(connection: Connection, kind: str, identifier: str, **values: Any) -> Any:
    """The changed resource."""
    answer = request(connection, "PUT", f"/{kind}s/{identifier}", {kind: values})
    assert answer.status_code == 200, answer.text
    return answer.json()[kind]


def show(connection: Connection, kind: str, identifier: str) -> Any:
    return request(connection, "GET", f"/{kind}s/{identifier}").json()[kind]


def interface(connection: Connection, router: str, action: str = "add", **values: Any) -> Any:
    """The answer of add_router_interface or remove_router_interface."""
    return request(connection, "PUT", f"/routers/{router}/{action}_router_interface", values)


def lift_quotas(admin: Connection, *projects: Connection) -> None:
    """Let the tests of a module make as many routers and floating IPs as they like."""
    for project in projects:
        body = {"quota": {"router": -1, "floatingip": -1}}
        assert request(admin, "PUT", f"/quotas/{project.current_project_id}", body).status_code == 200


@dataclass
class Topology:
    """A router between an external network and a network with one port."""

    external: str
    outside: str  # the subnet of the external network
    router: str
    network: str
    subnet: str
    port: str


def make_topology(admin: Connection, project: Connection, index: int = 0) -> Topology:
    """*index* keeps the external networks of several topologies apart."""
    external = make(admin, "network", name="public", **{"router:external": True})["id"]
    outside = make(admin, "subnet", network_id=external, ip_version=4, cidr=f"203.0.{index}.0/24", enable_dhcp=False)
    network = make(project, "network", name="private")["id"]
    subnet = make(project, "subnet", network_id=network, ip_version=4, cidr="10.20.0.0/24")["id"]
    router = make(project, "router", name="gate", external_gateway_info={"network_id": external})["id"]
    assert interface(project, router, subnet_id=subnet).status_code == 200
    port = make(project, "port", network_id=network)["id"]
    return Topology(external, outside["id"], router, network, subnet, port)
