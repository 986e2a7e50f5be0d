"""Which node of a Galera cluster begins: told from what is known, and refused where that does not suffice."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.filter import galera as filters
from ansible_collections.skywright.cloud.plugins.module_utils.galera import (
    NO_UUID,
    decide,
    is_primary,
    is_synced,
    parse_state,
    recovered,
    state_text,
)

A, B = "17a20324-e500-11f1-86c9-62cb1e676fd3", "2bbf71fb-c538-11f0-9ad8-6b4a2b1c33ef"
GRASTATE = "# GALERA saved state\nversion: 2.1\nuuid:    {}\nseqno:   {}\nsafe_to_bootstrap: {}\n"


def node(name, seqno=None, uuid=A, **facts):
    position = None if seqno is None else {"uuid": uuid, "seqno": seqno}
    known = {"error": None, "primary": False, "synced": False, "uuid": uuid, "position": position}
    return {
        **known,
        "exact": True,
        "sound": True,
        "safe": False,
        "partial": False,
        "databases": [],
        "name": name,
        **facts,
    }


def alive(name, uuid=A, synced=True):
    return node(name, -1, uuid, primary=True, synced=synced, exact=False)


def away(name):
    return node(name, error="it cannot be reached: no route to host", uuid=None, exact=False, sound=False)


DATA = {"databases": ["skywright"]}
DECIDED = {
    "all are alive": ([alive("a"), alive("b"), alive("c")], "join", "a"),
    "one is alive": ([node("a", 9), alive("b"), node("c", 9)], "join", "b"),
    "one is alive, though a dead one is further": ([node("a", 99), alive("b"), node("c", 1)], "join", "b"),
    "one is alive, others cannot be reached": ([away("a"), away("b"), alive("c")], "join", "c"),
    "one that gives its data is not asked": ([alive("a", synced=False), alive("b")], "join", "b"),
    "the only one that is alive gives its data": ([alive("a", synced=False), node("b")], "join", "a"),
    "all are new": ([node("a"), node("b"), node("c")], "bootstrap", "a"),
    "one that is new was used alone": ([node("a"), node("b", **DATA), node("c")], "bootstrap", "b"),
    "the furthest begins": ([node("a", 575), node("b", 634), node("c", 633)], "bootstrap", "b"),
    "the last of all": ([node("a", 5), node("b", 6), node("c", 70)], "bootstrap", "c"),
    "of equals the first": ([node("a", 7), node("b", 7), node("c", 7)], "bootstrap", "a"),
    "of equals the last to leave": ([node("a", 7), node("b", 7), node("c", 7, safe=True)], "bootstrap", "c"),
    "the last to leave is behind": ([node("a", 8), node("b", 7, safe=True), node("c", 7)], "bootstrap", "a"),
    "of equals one that is vouched for": ([node("a", 7, sound=False), node("b", 7)], "bootstrap", "b"),
    "none is vouched for": ([node("a", 6, sound=False), node("b", 7, sound=False)], "bootstrap", "b"),
    "one is empty": ([node("a"), node("b", 0), node("c", 3)], "bootstrap", "c"),
    "one is half copied": ([node("a", partial=True, **DATA), node("b", 2, **DATA)], "bootstrap", "b"),
    "new ones, one half copied": ([node("a", partial=True, **DATA), node("b")], "bootstrap", "b"),
    "a single node": ([node("a", 3)], "bootstrap", "a"),
}


@pytest.mark.parametrize(("nodes", "action", "name"), DECIDED.values(), ids=DECIDED.keys())
def test_what_is_certain_is_done(nodes, action, name):
    decision = decide(nodes)
    assert (decision["action"], decision["node"]) == (action, name)
    assert decision["reason"]


def guessed(name, *position, **facts):
    return node(name, *position, exact=False, **facts)


EXAMINED = {
    "all crashed": [guessed("a", -1), guessed("b", -1), guessed("c", -1)],
    "one crashed, which may be further": [node("a", 9), guessed("b", -1), node("c", 9)],
    "all lost their marks": [guessed("a", **DATA), guessed("b", **DATA), guessed("c", **DATA)],
    "all are marked as differing": [guessed("a", sound=False), guessed("b", sound=False)],
    "all are new": [guessed("a"), guessed("b"), guessed("c")],
}


@pytest.mark.parametrize("nodes", EXAMINED.values(), ids=EXAMINED.keys())
def test_what_is_not_known_yet_is_neither_done_nor_refused(nodes):
    assert decide(nodes)["action"] == "examine"


REFUSED = {
    "one cannot be reached": ([node("a", 9), node("b", 9), away("c")], "c: it cannot be reached: no route"),
    "none can be reached": ([away("a"), away("b"), away("c")], "a: it cannot"),
    "new ones, and one cannot be reached": ([node("a"), away("b")], "b: it cannot"),
    "data cannot be read": ([node("a", 9), node("b", 9, error="its data cannot be read: corrupt")], "corrupt"),
    "two histories": ([node("a", 9), node("b", 9, uuid=B), node("c", 9)], f"different clusters: a ({A}:9), b ({B}:9)"),
    "two histories, and one crashed": ([node("a", 9), guessed("b", -1, B)], "different clusters"),
    "one crashed, and one cannot be reached": ([guessed("a", -1), away("b")], "b: it cannot be reached"),
    "two clusters are up": ([alive("a"), alive("b", uuid=B)], "two clusters are up"),
    "several were used alone": ([node("a", **DATA), node("b", **DATA)], "a (['skywright']), b (['skywright'])"),
    "the furthest differs": ([node("a", 9, sound=False), node("b", 8), node("c", 8)], "marked as inconsistent"),
    "all are half copied": ([node("a", partial=True), node("b", partial=True)], "no node has complete data"),
}


@pytest.mark.parametrize(("nodes", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_certain_is_refused_with_the_reason(nodes, reason):
    decision = decide(nodes)
    assert (decision["action"], decision["node"]) == ("refuse", None)
    assert reason in decision["reason"]


GIVEN_UP = {
    "one that cannot be reached": ([node("a", 8), node("b", 9), away("c")], ["c"], "b"),
    "the other history": ([node("a", 9), node("b", 99, uuid=B)], ["b"], "a"),
    "the one that differs": ([node("a", 9, sound=False), node("b", 8)], ["a"], "b"),
    "one of two that were used alone": ([node("a", **DATA), node("b", **DATA)], ["a"], "b"),
}


@pytest.mark.parametrize(("nodes", "without", "name"), GIVEN_UP.values(), ids=GIVEN_UP.keys())
def test_the_operator_may_give_up_data(nodes, without, name):
    assert decide(nodes)["action"] == "refuse"
    assert decide(nodes, without)["node"] == name


def test_giving_up_all_is_refused():
    assert decide([node("a", 9)], ["a"])["action"] == "refuse"


def test_giving_up_never_begins_a_second_cluster():
    assert decide([node("a", 9), alive("b")], ["b"])["action"] == "join"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (GRASTATE.format(A, 12, 1), {"uuid": A, "seqno": 12, "safe": True}),
        (GRASTATE.format(A, -1, 0), {"uuid": A, "seqno": -1, "safe": False}),
        (GRASTATE.format(NO_UUID, -1, 0), {"uuid": NO_UUID, "seqno": -1, "safe": False}),
        ("", {"uuid": NO_UUID, "seqno": -1, "safe": False}),
        ("uuid:\nseqno: x\n\0\0", {"uuid": "", "seqno": -1, "safe": False}),
        (state_text(A), {"uuid": A, "seqno": -1, "safe": True}),
    ],
)
def test_the_state_on_disk(text, state):
    assert parse_state(text) == state


def test_the_recovered_position():
    assert recovered(f"--wsrep_start_position={A}:575\n") == {"uuid": A, "seqno": 575}
    assert recovered(f"--wsrep_start_position={A}:575,0-1-7\n") == {"uuid": A, "seqno": 575}
    assert recovered(f"--wsrep_start_position={NO_UUID}:-1\n") is None
    with pytest.raises(ValueError, match="names no position"):
        recovered("\n")


@pytest.mark.parametrize(
    ("cluster", "ready", "state", "expected"),
    [
        ("Primary", "ON", "4", (True, True)),
        ("Primary", "ON", "2", (True, False)),
        ("Primary", "OFF", "4", (True, False)),
        ("non-Primary", "OFF", "0", (False, False)),
        ("Disconnected", "ON", "4", (False, False)),
    ],
)
def test_the_servers_own_account(cluster, ready, state, expected):
    status = {"wsrep_cluster_status": cluster, "wsrep_ready": ready, "wsrep_local_state": state}
    assert (is_primary(status), is_synced(status)) == expected


def test_a_loop_of_which_some_hosts_cannot_be_reached():
    registered = [{"item": "a", "node": node("a", 8)}, {"item": "b", "unreachable": True, "msg": "timed out"}]
    assert "b: it is unreachable: timed out" in filters.galera_decision(registered)["reason"]
    decision = filters.galera_decision(registered, ["b"])
    assert (decision["action"], decision["node"]) == ("bootstrap", "a")
    assert decision["position"] == {"uuid": A, "seqno": 8}


def test_a_loop_of_which_one_module_failed():
    registered = [{"item": "a", "node": node("a", 8)}, {"item": "b", "failed": True, "msg": "no space left"}]
    assert "b: its facts cannot be gathered: no space left" in filters.galera_decision(registered)["reason"]


def test_giving_up_a_node_that_is_none_is_a_mistake():
    with pytest.raises(AnsibleFilterError, match="controler3"):
        filters.galera_decision([{"item": "a", "node": node("a", 8)}], ["controler3"])


def test_the_nodes_addresses():
    hosts = {
        "a": {"ansible_host": "10.0.0.1"},
        "b": {"galera_address": "10.9.0.2", "ansible_host": "10.0.0.2"},
        "c": {},
    }
    assert filters.galera_addresses(["c", "b", "a"], hosts) == ["c", "10.9.0.2", "10.0.0.1"]
