# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision how a Galera cluster starts, from the facts of its nodes."""

from __future__ import annotations

import re

NO_UUID = "00000000-0000-0000-0000-000000000000"
RECOVERED = re.compile(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)")
SYNCED = "4"


def parse_state(text):
    """Parse grastate.dat, the saved state of the provider."""
    found = dict(re.findall(r"^(\w+):[ \t]*(\S*)", text, re.MULTILINE))
    seqno = found.get("seqno", "-1")
    return {
        "uuid": found.get("uuid", NO_UUID),
        "seqno": int(seqno) if re.fullmatch(r"-?\d+", seqno) else -1,
        "safe": found.get("safe_to_bootstrap") == "1",
    }


def state_text(uuid):
    """Return a grastate.dat that lets the server recover the position itself and allows to bootstrap."""
    return f"# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   -1\nsafe_to_bootstrap: 1\n"


def recovered(text):
    """Parse the output of `galera_recovery`; None if the data never was in a cluster."""
    match = RECOVERED.search(text)
    if not match:
        raise ValueError(f"galera_recovery names no position: {text!r}")
    return None if match[1] == NO_UUID else {"uuid": match[1], "seqno": int(match[2])}


def is_primary(status):
    """Return whether a node with this status is in the primary component."""
    return status.get("wsrep_cluster_status") == "Primary"


def is_ready(status):
    """Return whether a node is primary and ready; a donor that lost the cluster never becomes ready."""
    return is_primary(status) and status.get("wsrep_ready") == "ON"


def is_synced(status):
    """Return whether a node with this status is synced and accepts writes."""
    return is_ready(status) and status.get("wsrep_local_state") == SYNCED


def decide(nodes, without=()):
    """Decide how the cluster starts or continues: {action: join, examine, bootstrap or refuse, node, reason}.

    A node has a name; primary, synced and uuid from its server; and:
    error      why its facts are missing (it is unreachable, its data cannot be read), or None
    position   {uuid, seqno} of its data; None if it never was in a cluster
    exact      whether the position is exact; else the node must be stopped and examined
    sound      whether the provider considers the data consistent with the cluster
    safe       whether it was the last node to leave the cluster
    partial    whether a state transfer to it was interrupted
    databases  the names of its databases, without those of the server
    C(without) names the nodes whose data may be lost.
    """
    up = [node for node in nodes if node["primary"]]
    if up:
        return _join(up)
    known = [node for node in nodes if node["name"] not in without]
    unknown = [node for node in known if node["error"]]
    if unknown:
        reasons = "; ".join(f"{node['name']}: {node['error']}" for node in unknown)
        return _refuse(f"the positions of these nodes are unknown: {reasons}", unknown)
    placed = [node for node in known if node["position"]]
    if len({node["position"]["uuid"] for node in placed}) > 1:
        return _refuse(f"the nodes' data comes from different clusters: {_positions(placed)}", placed)
    guessed = [node for node in known if not node["exact"]]
    if guessed:
        reason = f"no node is up, and the positions of {_names(guessed)} are exact only after they are stopped"
        return {"action": "examine", "node": None, "reason": reason}
    return _bootstrap_recovered(placed) if placed else _bootstrap_new([node for node in known if not node["partial"]])


def _join(up):
    if len({node["uuid"] for node in up}) > 1:
        return _refuse(f"two clusters are up: {_list(up, 'uuid')}. Stop the cluster whose data may be lost", [])
    ready = [node for node in up if node["synced"]] or up
    return _answer("join", ready[0], f"{_names(up)} are up")


def _bootstrap_recovered(placed):
    """Bootstrap with the most advanced of the nodes that were in a cluster."""
    last = max(node["position"]["seqno"] for node in placed)
    ahead = [node for node in placed if node["position"]["seqno"] == last]
    sound = [node for node in ahead if node["sound"]]
    if not sound and any(node["sound"] for node in placed):
        reason = "the most advanced nodes are marked as inconsistent"
        return _refuse(f"{reason}: {_positions(placed)}, marked: {_names(ahead)}", ahead)
    # Among equal nodes, the last one that left the cluster.
    best = max(sound or ahead, key=lambda node: node["safe"])
    return _answer(
        "bootstrap", best, f"no node is up, and {best['name']} has the most recent data: {_positions(placed)}"
    )


def _bootstrap_new(new):
    """Bootstrap a new cluster with the only node that has databases, or with the first node if none has."""
    full = [node for node in new if node["databases"]]
    if len(full) > 1:
        return _refuse(f"several nodes have databases but none was in a cluster: {_list(full, 'databases')}", full)
    if not new:
        return _refuse("no node has complete data", [])
    best = (full or new)[0]
    return _answer("bootstrap", best, f"no node was in a cluster yet; {best['name']} bootstraps it")


def _answer(action, node, reason):
    return {"action": action, "node": node["name"], "reason": reason}


def _refuse(reason, nodes):
    advice = ""
    if nodes:
        advice = ". If the data of some of these nodes may be lost, name them in galera_recover_without"
    return {"action": "refuse", "node": None, "reason": reason + advice}


def _names(nodes):
    return ", ".join(node["name"] for node in nodes)


def _list(nodes, key):
    return ", ".join(f"{node['name']} ({node[key]})" for node in nodes)


def _positions(nodes):
    return ", ".join("{name} ({uuid}:{seqno})".format(name=node["name"], **node["position"]) for node in nodes)
