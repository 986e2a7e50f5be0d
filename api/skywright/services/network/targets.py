"""The targets of policy rules for resources of the network service."""

from typing import Any

from skywright.services.network.tables import Network


def owned(project_id: str) -> dict[str, Any]:
    """Return the target for a resource that belongs to a project."""
    return {"project_id": project_id, "tenant_id": project_id}


def on_network(network: Network) -> dict[str, Any]:
    """Return the target attributes of the network of a resource."""
    return {
        "network:project_id": network.project_id,
        "network:tenant_id": network.project_id,
        "shared": network.shared,
        "router:external": False,
    }
