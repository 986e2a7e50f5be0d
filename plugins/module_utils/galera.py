# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a Galera cluster's nodes, and which of them has to begin; nothing here touches a host."""

from __future__ import annotations

import re

NO_UUID = "00000000-0000-0000-0000-000000000000"
RECOVERED = re.compile(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)")
SYNCED = "4"


def parse_state(text):
    """Read grastate.dat: what the provider last wrote down about the data."""
    found = dict(re.findall(r"^(\w+):[ \t]*(\S*)", text, re.MULTILINE))
    seqno = found.get("seqno", "-1")
    return {
        "uuid": found.get("uuid", NO_UUID),
        "seqno": int(seqno) if re.fullmatch(r"-?\d+", seqno) else -1,
        "safe": found.get("safe_to_bootstrap") == "1",
    }


def state_text(uuid):
    """Write grastate.dat for data of which the server itself has to recover the position."""
    return f"# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   -1\nsafe_to_bootstrap: 1\n"


def recovered(text):
    """Read what `galera_recovery` says; None if the data never was a cluster's."""
    match = RECOVERED.search(text)
    if not match:
        raise ValueError(f"galera_recovery names no position: {text!r}")
    return None if match[1] == NO_UUID else {"uuid": match[1], "seqno": int(match[2])}


def is_primary(status):
    """Whether a node with this status is in the part of the cluster that may write."""
    return status.get("wsrep_cluster_status") == "Primary"


def is_ready(status):
    """Whether a node with this status takes part; one that lost the cluster while it gave its data never does again."""
    return is_primary(status) and status.get("wsrep_ready") == "ON"


def is_synced(status):
    """Whether a node with this status is up to date and takes writes."""
    return is_ready(status) and status.get("wsrep_local_state") == SYNCED


def decide(nodes, without=()):
    """Tell how the cluster gets (or stays) up: {action: join, examine, bootstrap or refuse, node, reason}.

    A node has a name, primary, synced and uuid as its server says them, and:
    error      why nothing is known of it (it cannot be reached, its data cannot be read), or None
    position   how far its data is, {uuid, seqno}; None if it never was in a cluster
    exact      whether the position is certain; else the node is to be stopped and examined
    sound      whether the provider vouches for the data; it does not for a node that it found to differ from the others
    safe       whether it was the last one to leave
    partial    whether a transfer of another node's data broke off
    databases  those that are somebody's
    C(without) names the nodes whose data the operator gives up.
    """
    alive = [node for node in nodes if node["primary"]]
    if alive:
        return _join(alive)
    known = [node for node in nodes if node["name"] not in without]
    unknown = [node for node in known if node["error"]]
    if unknown:
        reasons = "; ".join(f"{node['name']}: {node['error']}" for node in unknown)
        return _refuse(f"how far these nodes' data is cannot be told: {reasons}", unknown)
    placed = [node for node in known if node["position"]]
    if len({node["position"]["uuid"] for node in placed}) > 1:
        return _refuse(f"the nodes' data comes from different clusters: {_positions(placed)}", placed)
    guessed = [node for node in known if not node["exact"]]
    if guessed:
        reason = (
            f"no node is alive, and how far the data of {_names(guessed)} is can be told only when they are stopped"
        )
        return {"action": "examine", "node": None, "reason": reason}
    return _continue(placed) if placed else _begin([node for node in known if not node["partial"]])


def _join(alive):
    if len({node["uuid"] for node in alive}) > 1:
        return _refuse(f"two clusters are alive: {_list(alive, 'uuid')}. Stop the one whose data is not wanted", [])
    ready = [node for node in alive if node["synced"]] or alive
    return _answer("join", ready[0], f"{_names(alive)} are alive")


def _continue(placed):
    """Begin with the node that is furthest of those that were in a cluster."""
    last = max(node["position"]["seqno"] for node in placed)
    ahead = [node for node in placed if node["position"]["seqno"] == last]
    sound = [node for node in ahead if node["sound"]]
    if not sound and any(node["sound"] for node in placed):
        reason = "the nodes that are furthest were marked as differing from the others"
        return _refuse(f"{reason}: {_positions(placed)}, marked: {_names(ahead)}", ahead)
    # Of equals, the last one to leave.
    best = max(sound or ahead, key=lambda node: node["safe"])
    return _answer("bootstrap", best, f"no node is alive, and {best['name']} is as far as any: {_positions(placed)}")


def _begin(new):
    """Begin with the only node that has databases, or any if none has."""
    full = [node for node in new if node["databases"]]
    if len(full) > 1:
        return _refuse(f"several nodes have databases but none was in a cluster: {_list(full, 'databases')}", full)
    if not new:
        return _refuse("no node has whole data", [])
    best = (full or new)[0]
    return _answer("bootstrap", best, f"no node was in a cluster yet; {best['name']} begins")


def _answer(action, node, reason):
    return {"action": action, "node": node["name"], "reason": reason}


def _refuse(reason, nodes):
    advice = ""
    if nodes:
        advice = ". If the data of some of them may be given up, name those in galera_recover_without"
    return {"action": "refuse", "node": None, "reason": reason + advice}


def _names(nodes):
    return ", ".join(node["name"] for node in nodes)


def _list(nodes, key):
    return ", ".join(f"{node['name']} ({node[key]})" for node in nodes)


def _positions(nodes):
    return ", ".join("{name} ({uuid}:{seqno})".format(name=node["name"], **node["position"]) for node in nodes)
