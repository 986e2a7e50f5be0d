# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision how a Galera cluster starts, from the registered facts of its nodes."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.module_utils.galera import decide

NOTHING = {
    "primary": False,
    "synced": False,
    "position": None,
    "uuid": None,
    "exact": False,
    "sound": False,
    "safe": False,
    "partial": False,
    "databases": [],
}


def galera_nodes(registered):
    """Return the nodes' facts from the results of a loop over their names; a failed result becomes an C(error)."""
    nodes = []
    for result in registered:
        if "node" in result:
            nodes.append(result["node"])
        else:
            why = "it is unreachable" if result.get("unreachable") else "its facts cannot be gathered"
            nodes.append({**NOTHING, "name": result["item"], "error": f"{why}: {result.get('msg', 'no reason given')}"})
    return nodes


def galera_decision(registered, without=()):
    """Decide how the cluster starts or continues: {action, node, reason, position}."""
    nodes = galera_nodes(registered)
    unknown = sorted(set(without) - {node["name"] for node in nodes})
    if unknown:
        raise AnsibleFilterError(f"galera_recover_without names {', '.join(unknown)}, which are no nodes")
    decision = decide(nodes, without)
    positions = {node["name"]: node["position"] for node in nodes}
    return {**decision, "position": positions.get(decision["node"])}


def galera_addresses(names, hostvars):
    """Return the nodes' addresses, in the same order."""
    return [hostvars[name].get("galera_address") or hostvars[name].get("ansible_host", name) for name in names]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name them."""
        return {"galera_decision": galera_decision, "galera_addresses": galera_addresses}
