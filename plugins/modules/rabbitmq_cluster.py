#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The members, virtual hosts, users and policies of a RabbitMQ cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_cluster
short_description: Manage a RabbitMQ cluster with its virtual hosts, users and policies
description:
  - Converges the cluster from any of its hosts, with one command that reads and at most one that writes. It waits for
    nodes that are starting.
  - The commands evaluate Erlang code that calls internal functions of RabbitMQ. The code was tested with RabbitMQ 3.10
    (of Debian 12). With another version, the module changes nothing and all items have an error.
  - Passwords are compared with the hashes of the broker and are on no command line.
extends_documentation_fragment: skywright.cloud.converge
options:
  node:
    description: The name of this host's node; C(rabbit@) and an address or a name that all nodes can resolve.
    type: str
    required: true
  nodes:
    description:
      - The names of all nodes of the cluster. Its item has the C(id) C(cluster).
      - A listed node that runs as a separate cluster joins, unless it has queues. Quorum queues with too few replicas
        get replicas on all running nodes.
      - A member that is not listed leaves the cluster. It must be stopped. If the other nodes wait for it at their
        start, they start without its data.
    type: list
    elements: str
    required: true
  wait:
    description: Seconds to wait for nodes that are starting.
    type: int
    default: 60
  vhosts:
    description: Virtual hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The virtual host's name.
        type: str
        required: true
      state:
        description: Whether the virtual host exists. Removing it removes its queues.
        type: str
        choices: [present, absent]
        default: present
  users:
    description: Users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The password, required with C(state=present).
        type: str
      tags:
        description: The user's tags, such as C(administrator).
        type: list
        elements: str
        default: []
      permissions:
        description: The user's permissions. The user has no permissions in other virtual hosts.
        type: list
        elements: dict
        default: []
        suboptions:
          vhost:
            description: The virtual host.
            type: str
            default: /
          configure:
            description: A regular expression of the names that the user may create and delete.
            type: str
            default: ".*"
          write:
            description: A regular expression of the names that the user may publish to.
            type: str
            default: ".*"
          read:
            description: A regular expression of the names that the user may consume from.
            type: str
            default: ".*"
      state:
        description: Whether the user exists.
        type: str
        choices: [present, absent]
        default: present
  policies:
    description: Policies.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The policy's name.
        type: str
        required: true
      vhost:
        description: The virtual host.
        type: str
        default: /
      pattern:
        description: A regular expression of the names that the policy applies to.
        type: str
        default: ".*"
      apply_to:
        description: The objects that the policy applies to.
        type: str
        choices: [all, exchanges, queues]
        default: all
      priority:
        description: The priority. Of several matching policies, the one with the highest priority applies.
        type: int
        default: 0
      definition:
        description: The settings of the policy.
        type: dict
        default: {}
      state:
        description: Whether the policy exists.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Converge the cluster, its user and virtual host
  skywright.cloud.rabbitmq_cluster:
    node: rabbit@10.0.0.11
    nodes: [rabbit@10.0.0.11, rabbit@10.0.0.12, rabbit@10.0.0.13]
    vhosts:
      - {name: skywright}
    users:
      - {name: guest, state: absent}
      - {name: skywright, password: "{{ password }}", permissions: [{vhost: skywright}]}
  run_once: true
"""

RETURN = r"""
results:
  description: One entry an item; its C(id) is C(cluster), or its kind (of a policy also its virtual host) and name.
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that wrote.
  returned: always
  type: list
  elements: list
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import rabbitmq
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
NAME = {"type": "str", "required": True}
VHOST = {"type": "str", "default": "/"}
ANYTHING = {"type": "str", "default": ".*"}
PERMISSIONS = {"vhost": VHOST, "configure": ANYTHING, "write": ANYTHING, "read": ANYTHING}
USER = {
    "name": NAME,
    "password": {"type": "str", "no_log": True},
    "tags": {"type": "list", "elements": "str", "default": []},
    "permissions": {"type": "list", "elements": "dict", "default": [], "options": PERMISSIONS},
    "state": STATE,
}
POLICY = {
    "name": NAME,
    "vhost": VHOST,
    "pattern": ANYTHING,
    "apply_to": {"type": "str", "choices": ["all", "exchanges", "queues"], "default": "all"},
    "priority": {"type": "int", "default": 0},
    "definition": {"type": "dict", "default": {}},
    "state": STATE,
}
ARGUMENT_SPEC = {
    "node": NAME,
    "nodes": {"type": "list", "elements": "str", "required": True},
    "wait": {"type": "int", "default": 60},
    "vhosts": {"type": "list", "elements": "dict", "default": [], "options": {"name": NAME, "state": STATE}},
    "users": {"type": "list", "elements": "dict", "default": [], "options": USER},
    "policies": {"type": "list", "elements": "dict", "default": [], "options": POLICY},
}
NODE = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9_.-]+")
ACTOR = rabbitmq.text("skywright")


class Broker:
    """The items of a RabbitMQ cluster."""

    def __init__(self, cluster, nodes, *, wait, check):
        self.cluster, self.nodes = cluster, set(nodes)
        self._wait, self._check = wait, check

    def read(self, items):
        """Read all items; wait for a cluster that is starting."""
        if self._check and self.cluster.is_blank():
            # A real run would have started the node; a new cluster has these items.
            state = {"members": sorted(self.nodes), "vhosts": [{"name": "/"}], "users": [{"name": "guest"}]}
        else:
            self.cluster.wait(0 if self._check else self._wait)
            state = self._started(self.cluster.state())
        passwords = {item["id"]: item["password"] for item in items if item["kind"] == "user"}
        return have(state, self.nodes, passwords)

    def _started(self, state):
        """Return the state of the running cluster; nodes that wait for a removed member start without its data."""
        if "running" in state:
            return state
        missing = set(state["members"]) - set(state["connected"])
        if missing and not self._check and not missing & self.nodes:
            self.cluster.force()
            self.cluster.wait(self._wait)
            state = self.cluster.state()
        if "running" not in state:
            reason = f"; it waits for {', '.join(sorted(missing))}, which may have newer data" if missing else ""
            raise ItemError(f"{self.cluster.nodes[0]} is not running yet{reason}")
        return state

    def want(self, item, there):
        """Return the wanted state of an item."""
        if item["state"] == "absent":
            return None
        return WANTED[item["kind"]](item, there, self.nodes)

    def apply(self, steps):
        """Send all writes with one command: present items in the order of KINDS, then absent ones in reverse order."""
        present = [step for kind in KINDS for step in steps if step.item["kind"] == kind and step.want is not None]
        absent = [step for kind in reversed(KINDS) for step in steps if step.item["kind"] == kind and step.want is None]
        return self.cluster.change([(s.id, call) for s in present + absent for call in WRITES[s.item["kind"]](s)])


def have(state, nodes, passwords):
    """Return the existing items by id. A password is shown only as equal to the wanted one or not."""
    lacking, alone = (sorted(nodes.intersection(state.get(key, []))) for key in ("lacking", "alone"))
    found = {"cluster": {"members": sorted(state["members"]), "alone": alone, "lacking": lacking}}
    found |= {f"vhost {vhost['name']}": {} for vhost in state["vhosts"]}
    for user in state["users"]:
        item_id = f"user {user['name']}"
        mine = [grant for grant in state.get("permissions", []) if grant["user"] == user["name"]]
        found[item_id] = {"tags": sorted(user.get("tags", [])), "permissions": granted(mine)}
        if passwords.get(item_id):
            right = rabbitmq.is_password(passwords[item_id], user)
            found[item_id]["password"] = "as wanted" if right else "different"
    for policy in state.get("policies", []):
        found[f"policy {policy['vhost']} {policy['name']}"] = {key: policy[key] for key in POLICY_KEYS}
    return found


def granted(permissions):
    """Return permissions by virtual host."""
    return {grant["vhost"]: {what: grant[what] for what in ("configure", "write", "read")} for grant in permissions}


def wanted_cluster(_item, there, nodes):
    """Return the cluster with all listed nodes that are or can become members, and complete replicas."""
    return {"members": sorted(nodes.intersection(there["members"] + there["alone"])), "alone": [], "lacking": []}


def wanted_user(item, _there, _nodes):
    """Return the wanted user; the password is only marked as wanted."""
    if not item["password"]:
        raise ItemError("a user that is present needs a password")
    return {"tags": sorted(item["tags"]), "permissions": granted(item["permissions"]), "password": "as wanted"}


def wanted_policy(item, _there, _nodes):
    """Return the wanted policy with the keys of RabbitMQ."""
    return {key: item[key.replace("-", "_")] for key in POLICY_KEYS}


def write_cluster(step):
    """Remove members, join nodes and add replicas."""
    gone = set(step.have["members"]) - set(step.want["members"])
    yield from (call for node in sorted(gone) for call in rabbitmq.forget(node))
    yield from map(rabbitmq.join, step.have["alone"])
    yield from map(rabbitmq.grow, sorted({*step.have["lacking"], *step.have["alone"]}))


def write_vhost(step):
    """Create or remove a virtual host."""
    name = step.item["name"]
    if step.want is None:
        yield f"rabbit_vhost:delete({rabbitmq.text(name)}, {ACTOR})"
    else:
        yield rabbitmq.definitions(vhosts=[{"name": name}])


def write_user(step):
    """Create a user with its permissions and clear other permissions, or remove the user."""
    name = step.item["name"]
    if step.want is None:
        yield f"rabbit_auth_backend_internal:delete_user({rabbitmq.text(name)}, {ACTOR})"
        return
    user = {"name": name, "tags": step.want["tags"], "hashing_algorithm": rabbitmq.HASH}
    user["password_hash"] = rabbitmq.password_hash(step.item["password"])
    permissions = [{"user": name, "vhost": vhost, **grant} for vhost, grant in step.want["permissions"].items()]
    yield rabbitmq.definitions(users=[user], permissions=permissions)
    for vhost in sorted(set((step.have or step.want)["permissions"]) - set(step.want["permissions"])):
        yield f"rabbit_auth_backend_internal:clear_permissions({rabbitmq.text(name)}, {rabbitmq.text(vhost)}, {ACTOR})"


def write_policy(step):
    """Create, change or remove a policy."""
    vhost, name = step.item["vhost"], step.item["name"]
    if step.want is None:
        yield f"rabbit_policy:delete({rabbitmq.text(vhost)}, {rabbitmq.text(name)}, {ACTOR})"
    else:
        yield rabbitmq.definitions(policies=[{"vhost": vhost, "name": name, **step.want}])


KINDS = ["cluster", "vhost", "user", "policy"]
POLICY_KEYS = ("pattern", "apply-to", "definition", "priority")
WANTED = dict(zip(KINDS, [wanted_cluster, lambda *_: {}, wanted_user, wanted_policy], strict=True))
WRITES = dict(zip(KINDS, [write_cluster, write_vhost, write_user, write_policy], strict=True))


def main():
    """Converge the cluster."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, runner = module.params, Runner()
    for node in (params["node"], *params["nodes"]):
        if not NODE.fullmatch(node):
            module.fail_json(msg=f"{node} is not the name of a node")
    cluster = rabbitmq.Cluster(runner, node=params["node"], nodes=params["nodes"])
    broker = Broker(cluster, params["nodes"], wait=params["wait"], check=module.check_mode)
    items = [{"id": "cluster", "kind": "cluster", "state": "present"}]
    items += [dict(vhost, id=f"vhost {vhost['name']}", kind="vhost") for vhost in params["vhosts"]]
    items += [dict(user, id=f"user {user['name']}", kind="user") for user in params["users"]]
    items += [dict(p, id=f"policy {p['vhost']} {p['name']}", kind="policy") for p in params["policies"]]
    converge(module, items=items, read=broker.read, want=broker.want, apply=broker.apply, commands=runner.commands)


if __name__ == "__main__":
    main()
