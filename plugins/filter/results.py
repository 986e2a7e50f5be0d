# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What roles hand to each other: which items failed, and which items a task is for."""

from __future__ import annotations


def failures(registered, items):
    """Give {id: reason} of all items that failed in the registered results of converging modules."""
    reasons = {}
    for result in registered:
        if not result.get("failed"):
            continue
        if "results" not in result:  # the module did not come to an end
            return {item["id"]: str(result.get("msg", "the module failed")) for item in items}
        for item in result["results"]:
            if "error" in item:
                reasons.setdefault(item["id"], item["error"])
    return reasons


def with_ports(failed, networks):
    """Add the ports of failed networks to {id: reason}."""
    reasons = dict(failed)
    for network in networks:
        if network["id"] in failed:
            for port in network.get("ports") or []:
                reasons[port["id"]] = "network {}: {}".format(network["id"], failed[network["id"]])
    return reasons


def served(networks):
    """Give the networks of which a DHCP server may have to be changed on this host."""
    return [network for network in networks if network.get("dhcp") or network.get("state") == "absent"]


def with_state(items, state):
    """Give the items of one wanted state."""
    return [item for item in items if item.get("state", "present") == state]


class FilterModule:
    """The filters of the cloud roles."""

    def filters(self):
        """Name them."""
        return {
            "failures": failures,
            "with_ports": with_ports,
            "served": served,
            "with_state": with_state,
        }
