"""The targets of policy rules for resources of the network service."""

from typing import Any

from skywright.services.network.sharing import is_shared
from skywright.services.network.tables import Network


def owned(project_id: str) -> dict[str, Any]:
    """Return the target for a resource that belongs to a project."""
    return {"project_id": project_id, "tenant_id": project_id}


def on_network(network: Network, asker: str | None) -> dict[str, Any]:
    """Return the target attributes of the network of a resource, as the project *asker* sees it."""
    return {
        "network:project_id": network.project_id,
        "network:tenant_id": network.project_id,
        "shared": is_shared(network, asker),
        "router:external": network.external,
    }
