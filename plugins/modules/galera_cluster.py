#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node's part in its Galera cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: galera_cluster
short_description: A node's part in its Galera cluster
description:
  - Stops a node, begins a cluster with it, lets it join, or restarts it for its configuration.
  - Which of these a node needs is told by the filter C(skywright.cloud.galera_decision) out of all nodes' facts.
options:
  name:
    description: The node's name in the answer.
    type: str
    required: true
  state:
    description:
      - With C(stopped), a node that is not in a primary component is stopped, its databases (if it has any) are copied
        to C(/var/lib/mysql-snapshots), and how far its data is comes with the answer. A node of a primary component is
        left alone.
      - With C(bootstrapped), the node begins a cluster, unless it is in a primary component.
      - With C(joined), the node is started, or helped if it hangs, until it is synced. There must be a primary
        component.
      - With C(current), a node that runs with another configuration than the one on disk is restarted while all
        C(peers) are synced.
    type: str
    choices: [stopped, bootstrapped, joined, current]
    required: true
  position:
    description: Where the data of a node that begins is, as it was told when the node was C(stopped).
    type: dict
  peers:
    description: The addresses of the other nodes, whose health checks have to answer before this one is restarted.
    type: list
    elements: str
    default: []
  configuration:
    description: The file that the server was started with a copy of.
    type: path
    default: /etc/mysql/mariadb.conf.d/90-skywright.cnf
  started_with:
    description: The copy.
    type: path
    default: /run/skywright-galera.cnf
  timeout:
    description: For how many seconds the node may take to be synced; a transfer of all data is part of that.
    type: int
    default: 900
attributes:
  check_mode:
    description: Predicts whether anything would be done, and does nothing.
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
  description: The node, as C(galera_info) tells; with C(stopped), its position is exact.
  returned: success
  type: dict
stale:
  description: Whether the server runs with another configuration than the one on disk.
  returned: success
  type: bool
snapshot:
  description: Where the data was copied to, or why it was not.
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
# How long a node that runs may need to find its way back by itself.
PATIENCE_SECONDS = 30


def is_stale(params):
    """Whether the server was started with another configuration."""
    return read_text(params["configuration"]) != read_text(params["started_with"])


def stop(node, params, facts):
    """Stop the node, save its databases and find out how far they are."""
    if facts["unit"] in ("active", "activating", "reloading", "deactivating"):
        node.halt()
    snapshot = node.snapshot() if facts["databases"] else "none, for there are no databases"
    return {"node": node.place(node.facts()), "snapshot": snapshot}


def bootstrap(node, params, facts):
    """Begin a cluster."""
    node.bootstrap(params["position"], params["timeout"])
    return {}


def finds_back(node, params):
    """Whether a server that runs takes part in the cluster soon; one that does not know of it never will."""
    return wait(lambda: is_ready(node.status()[1]), 0 if is_stale(params) else PATIENCE_SECONDS)


def join(node, params, facts):
    """Start the node, or help it back."""
    if facts["error"]:
        node.kill()
    elif facts["unit"] == "active" and not finds_back(node, params):
        node.halt()
    node.start(params["timeout"])
    return {}


def restart(node, params, facts):
    """Restart the node while the others carry on."""
    missing = [peer for peer in params["peers"] if not wait(lambda peer=peer: answers(peer), PATIENCE_SECONDS)]
    if missing:
        raise ItemError(
            f"the node is not restarted while other nodes are not synced: {', '.join(missing)} (a node that stays away"
            " may be named in galera_recover_without)"
        )
    node.halt()
    if params["peers"]:
        node.start(params["timeout"])
    else:
        node.bootstrap(None, params["timeout"])
    return {}


# What makes each state, and when it is there already.
STATES = {
    "stopped": (stop, lambda facts, stale: facts["primary"]),
    "bootstrapped": (bootstrap, lambda facts, stale: facts["primary"]),
    "joined": (join, lambda facts, stale: facts["synced"]),
    "current": (restart, lambda facts, stale: not stale),
}


def converge(params, check):
    """Bring the node into its state and tell how it is then."""
    node = Node(params["name"])
    make, is_there = STATES[params["state"]]
    facts, stale = node.facts(), is_stale(params)
    done = {"node": facts, "changed": not is_there(facts, stale)}
    if done["changed"] and not check:
        done.update({"node": None, **make(node, params, facts)})
        done["node"] = done["node"] or node.facts()
    # A node of which the database is only about to be started takes the configuration of that moment.
    done["stale"] = done["node"]["unit"] == "active" and is_stale(params)
    return {**done, "commands": node.runner.commands}


def main():
    """Bring the node into its state."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    end_with_caller()
    try:
        module.exit_json(**converge(module.params, module.check_mode))
    except (ItemError, OSError) as error:
        module.fail_json(msg=f"{module.params['name']}: {error}")


if __name__ == "__main__":
    main()
