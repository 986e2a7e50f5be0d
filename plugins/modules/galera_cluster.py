#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of a node in its Galera cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: galera_cluster
short_description: Stop, bootstrap, join or restart a node of a Galera cluster
description:
  - Stops a node, bootstraps the cluster with it, lets it join, or restarts it with a new configuration.
  - The filter C(skywright.cloud.galera_decision) decides from the facts of all nodes which state a node needs.
options:
  name:
    description: The node's name in the returned facts.
    type: str
    required: true
  state:
    description:
      - With C(stopped), the module stops a node that is not in a primary component, copies its databases to
        C(/var/lib/mysql-snapshots) and returns its position. It does not stop a node of a primary component.
      - With C(bootstrapped), the node bootstraps a cluster, unless it is in a primary component.
      - With C(joined), the module starts the node, or restarts a node that hangs, and waits until it is synced. There
        must be a primary component.
      - With C(current), the module restarts a node that runs with another configuration than the one on disk, while all
        C(peers) are synced.
    type: str
    choices: [stopped, bootstrapped, joined, current]
    required: true
  position:
    description: The position of the node that bootstraps, as returned by state C(stopped).
    type: dict
  peers:
    description: The addresses of the other nodes, whose health checks must pass before this node restarts.
    type: list
    elements: str
    default: []
  configuration:
    description: The configuration file on disk.
    type: path
    default: /etc/mysql/mariadb.conf.d/90-skywright.cnf
  started_with:
    description: The copy of the configuration file that the running server started with.
    type: path
    default: /run/skywright-galera.cnf
  timeout:
    description: Seconds that the node may take until it is synced, including a full state transfer.
    type: int
    default: 900
attributes:
  check_mode:
    description: Predicts whether the module would change the node, and changes nothing.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Join the cluster
  skywright.cloud.galera_cluster:
    name: "{{ inventory_hostname }}"
    state: joined
  throttle: 1
"""

RETURN = r"""
node:
  description: The facts of the node, as from M(skywright.cloud.galera_info); with C(stopped), the position is exact.
  returned: success
  type: dict
stale:
  description: Whether the server runs with another configuration than the one on disk.
  returned: success
  type: bool
snapshot:
  description: The directory of the copy, or the reason why there is none.
  returned: when the node has been stopped
  type: str
commands:
  description: The commands that changed something.
  returned: success
  type: list
  elements: list
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text
from ansible_collections.skywright.cloud.plugins.module_utils.galera import is_ready
from ansible_collections.skywright.cloud.plugins.module_utils.galera_node import Node, answers, wait

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["stopped", "bootstrapped", "joined", "current"], "required": True},
    "position": {"type": "dict"},
    "peers": {"type": "list", "elements": "str", "default": []},
    "configuration": {"type": "path", "default": "/etc/mysql/mariadb.conf.d/90-skywright.cnf"},
    "started_with": {"type": "path", "default": "/run/skywright-galera.cnf"},
    "timeout": {"type": "int", "default": 900},
}
# How long a running node may take to rejoin without a restart.
REJOIN_SECONDS = 30


def is_stale(params):
    """Return whether the server runs with another configuration."""
    return read_text(params["configuration"]) != read_text(params["started_with"])


def stop(node, params, facts):
    """Stop the node, save its databases and read its position."""
    if facts["unit"] in ("active", "activating", "reloading", "deactivating"):
        node.halt()
    snapshot = node.snapshot() if facts["databases"] else "none, because there are no databases"
    return {"node": node.place(node.facts()), "snapshot": snapshot}


def bootstrap(node, params, facts):
    """Bootstrap a cluster."""
    node.bootstrap(params["position"], params["timeout"])
    return {}


def rejoins(node, params):
    """Whether a running server rejoins the cluster without a restart; one with an old configuration does not."""
    return wait(lambda: is_ready(node.status()[1]), 0 if is_stale(params) else REJOIN_SECONDS)


def join(node, params, facts):
    """Start the node, or restart a node that hangs."""
    if facts["error"]:
        node.kill()
    elif facts["unit"] == "active" and not rejoins(node, params):
        node.halt()
    node.start(params["timeout"])
    return {}


def restart(node, params, facts):
    """Restart the node while all other nodes are synced."""
    missing = [peer for peer in params["peers"] if not wait(lambda peer=peer: answers(peer), REJOIN_SECONDS)]
    if missing:
        raise ItemError(
            f"the node is not restarted while other nodes are not synced: {', '.join(missing)} (name a node that is"
            " down for long in galera_recover_without)"
        )
    node.halt()
    if params["peers"]:
        node.start(params["timeout"])
    else:
        node.bootstrap(None, params["timeout"])
    return {}


# For each state, the function that establishes it and the condition that it is established.
STATES = {
    "stopped": (stop, lambda facts, stale: facts["primary"]),
    "bootstrapped": (bootstrap, lambda facts, stale: facts["primary"]),
    "joined": (join, lambda facts, stale: facts["synced"]),
    "current": (restart, lambda facts, stale: not stale),
}


def converge(params, check):
    """Establish the state of the node and return its facts."""
    node = Node(params["name"])
    establish, is_established = STATES[params["state"]]
    facts, stale = node.facts(), is_stale(params)
    done = {"node": facts, "changed": not is_established(facts, stale)}
    if done["changed"] and not check:
        done.update({"node": None, **establish(node, params, facts)})
        done["node"] = done["node"] or node.facts()
    # A node that is not active reads the configuration when it starts.
    done["stale"] = done["node"]["unit"] == "active" and is_stale(params)
    return {**done, "commands": node.runner.commands}


def main():
    """Establish the state of the node."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    end_with_caller()
    try:
        module.exit_json(**converge(module.params, module.check_mode))
    except (ItemError, OSError) as error:
        module.fail_json(msg=f"{module.params['name']}: {error}")


if __name__ == "__main__":
    main()
