# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands for a RabbitMQ cluster.

Each rabbitmqctl takes a second, so one call reads everything and one writes everything. Both call internal functions of
RabbitMQ, which may differ in other versions, so the code refuses versions that it was not tested with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pwd
import secrets
import socket
import tempfile
import time

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

HOME = "/var/lib/rabbitmq"
USER = "rabbitmq"
CLIENTS, NODES = 5671, 25672
HASHES = {f"rabbit_password_hashing_{name}": getattr(hashlib, name) for name in ("sha256", "sha512", "md5")}
HASH = "rabbit_password_hashing_sha256"
TESTED = ("3.10",)  # Debian 12's
QUORUM = 3  # the default number of replicas of a quorum queue

# Returns the version of the node instead of evaluating code that was not tested with it.
GUARD = """
"rabbit-" ++ Version = filename:basename(code:lib_dir(rabbit)),
case lists:any(fun(Series) -> lists:prefix(Series ++ ".", Version) end, %(tested)s) of
false -> iolist_to_binary(["{\\"untested\\": \\"", Version, "\\"}"]);
true -> %(code)s
end.
"""
# A node that is starting, or is in the minority of a partition, knows the members but nothing else.
STATE = """
Members = rabbit_mnesia:cluster_nodes(all),
Alone = fun(N) -> not lists:member(N, Members) andalso rpc:call(N, rabbit, is_running, [], 5000) =:= true end,
Lacks = fun(N, Q) -> length(Q) < %(replicas)d andalso not lists:member(N, Q) end,
rabbit_json:encode(case rabbit:is_running() of
  false -> #{members => Members, connected => [node() | nodes()]};
  true ->
    Running = rabbit_mnesia:cluster_nodes(running),
    Queues = [maps:get(nodes, amqqueue:get_type_state(Q)) || Q <- rabbit_amqqueue:list_by_type(rabbit_quorum_queue)],
    #{members => Members, running => Running, alone => lists:filter(Alone, %(nodes)s),
      lacking => [N || N <- Running, lists:any(fun(Q) -> Lacks(N, Q) end, Queues)],
      vhosts => rabbit_definitions:list_vhosts(), users => rabbit_definitions:list_users(),
      permissions => rabbit_definitions:list_permissions(), policies => rabbit_definitions:list_policies()}
end)
"""
# Loads the local copies of tables on all connected nodes, because not every node has a copy of every table.
FORCE = """
Tables = fun(N) -> rpc:call(N, mnesia, system_info, [local_tables]) -- [schema] end,
[rpc:call(N, lists, foreach, [fun mnesia:force_load_table/1, Tables(N)], 30000) || N <- [node() | nodes()]], <<"[]">>
"""
# Evaluates each write separately and returns its result.
WRITES = """
Ok = fun(ok) -> true; ({ok, _}) -> true; (L) -> is_list(L) end,
Try = fun(F) -> try F() of R -> case Ok(R) of true -> ok; false -> iolist_to_binary(io_lib:format("~0p", [R])) end
  catch _:E -> iolist_to_binary(io_lib:format("~0p", [E])) end end,
rabbit_json:encode([%s])
"""


def text(value):
    """Return an Erlang expression for any string."""
    return f'base64:decode("{base64.b64encode(value.encode()).decode()}")'


def atom(node):
    """Return the Erlang atom of a validated node name."""
    return f"'{node}'"


def definitions(**kinds):
    """Return the call that imports definitions."""
    return f"rabbit_definitions:import_raw({text(json.dumps(kinds))})"


def forget(node):
    """Return the calls that remove a stopped member and its replicas of queues."""
    return [
        f"rabbit_mnesia:forget_cluster_node({atom(node)}, false)",
        f"rabbit_quorum_queue:shrink_all({atom(node)})",
    ]


def join(node):
    """Return the call that joins a one-node cluster to this one. The node loses its data, so it must have no queues."""
    rpc = f"rpc:call({atom(node)}, "
    return (
        f"case {rpc}rabbit_amqqueue, count, []) of 0 -> {rpc}rabbit, stop, []), "
        f"ok = {rpc}rabbit_mnesia, join_cluster, [node(), disc]), {rpc}rabbit, start, []); "
        "Count -> {error, {it_is_a_cluster_of_its_own_and_has_queues, Count}} end"
    )


def grow(node):
    """Return the call that adds replicas of the quorum queues on a node."""
    grown = f'rabbit_quorum_queue:grow({atom(node)}, <<".*">>, <<".*">>, all)'
    return f"case [E || {{_, E}} <- {grown}, element(1, E) =/= ok] of [] -> ok; Errors -> {{error, Errors}} end"


def password_hash(password):
    """Return a new salted hash of a password, as the broker stores it."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + HASHES[HASH](salt + password.encode()).digest()).decode()


def is_password(password, user):
    """Return whether the user has this password."""
    digest = HASHES.get(user["hashing_algorithm"])
    kept = base64.b64decode(user["password_hash"])
    if digest is None or not kept:
        return False
    return secrets.compare_digest(digest(kept[:4] + password.encode()).digest(), kept[4:])


class Cluster:
    """The cluster. Commands go to its first running node; the host's own node comes first."""

    def __init__(self, runner, *, node, nodes):
        self.runner = runner
        self.nodes = [node, *(name for name in nodes if name != node)]
        self._node = node

    def is_blank(self):
        """Return whether this host's node never ran."""
        return not os.path.isdir(os.path.join(HOME, "mnesia", self.nodes[0]))

    def wait(self, seconds):
        """Wait until this host's node and all other starting nodes accept clients; choose the node for commands."""
        limit = time.monotonic() + seconds
        own = self.nodes[0]
        while True:
            ready = [node for node in self.nodes if listens(node, CLIENTS)]
            starting = [node for node in self.nodes if node not in ready and (node == own or listens(node, NODES))]
            if not starting or time.monotonic() >= limit:
                break
            time.sleep(0.5)
        self._node = ready[0] if ready else own

    def state(self):
        """Return the state of the cluster; C(running) is missing while the node is starting."""
        listed = "[" + ", ".join(map(atom, self.nodes)) + "]"
        code = STATE % {"nodes": listed, "replicas": min(QUORUM, len(self.nodes))}
        try:
            return self._eval(code, self.runner.read)
        except ItemError as error:
            if "Target node is not running" in str(error):  # rabbitmqctl says this of any unreachable node
                raise ItemError(f"{self._node} cannot be reached") from error
            raise

    def force(self):
        """Start nodes that wait for their peers with the data that they have."""
        self._eval(FORCE, self.runner.write)

    def change(self, writes):
        """Evaluate C(writes), pairs of a name and a call, in order; return {name: error} of those that failed."""
        calls = [f"[{text(name)}, Try(fun() -> {call} end)]" for name, call in writes]
        answers = self._eval(WRITES % ",\n".join(calls), self.runner.write, timeout=180)
        return {name: answer for name, answer in answers if answer != "ok"}

    def _eval(self, code, run, timeout=60):
        """Evaluate C(code) in the node; a file passes it, because every user of the host can read command lines."""
        code = GUARD % {"tested": json.dumps(TESTED), "code": code}
        with tempfile.NamedTemporaryFile("w", dir=HOME, prefix="skywright-", suffix=".erl") as file:
            file.write(code)
            file.flush()
            os.chown(file.name, pwd.getpwnam(USER).pw_uid, -1)
            answer = run(
                ["rabbitmqctl", "--quiet", "--node", self._node, "eval_file", file.name, "--formatter", "json"],
                timeout=timeout,
            )
        value = json.loads(json.loads(answer)["value"])
        if isinstance(value, dict) and "untested" in value:
            tested = ", ".join(TESTED)
            raise ItemError(f"{self._node} is RabbitMQ {value['untested']}: this module was tested with {tested} only")
        return value


def listens(node, port):
    """Return whether the port of the node's host accepts connections."""
    try:
        with socket.create_connection((node.partition("@")[2], port), timeout=0.5):
            return True
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise ItemError(f"{node}: {error}") from error
        return False
