"""What policy rules may ask of resources of the network service."""

from typing import Any

from skywright.services.network.tables import Network


def owned(project_id: str) -> dict[str, Any]:
    """What policy rules may ask of what belongs to a project."""
    return {"project_id": project_id, "tenant_id": project_id}


def on_network(network: Network) -> dict[str, Any]:
    """What policy rules may ask of the network that something is on."""
    return {
        "network:project_id": network.project_id,
        "network:tenant_id": network.project_id,
        "shared": network.shared,
        "router:external": False,
    }
