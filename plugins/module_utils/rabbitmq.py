# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speaking to a cluster of RabbitMQ.

Every rabbitmqctl costs a second, so one tells everything and one changes everything. Both call functions that are
internal to RabbitMQ and may do something else in another version, so only in versions that they were tried with.
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
TRIED = ("3.10",)  # Debian 12's
QUORUM = 3  # replicas that a quorum queue has if nobody asks for another number

# Says which version the node is, in place of evaluating code that was not tried with it.
GUARD = """
"rabbit-" ++ Version = filename:basename(code:lib_dir(rabbit)),
case lists:any(fun(Series) -> lists:prefix(Series ++ ".", Version) end, %(tried)s) of
false -> iolist_to_binary(["{\\"untried\\": \\"", Version, "\\"}"]);
true -> %(code)s
end.
"""
# A node that starts, or that the smaller part of a divided cluster holds, knows its members but nothing else.
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
# Not every node has a copy of every table.
FORCE = """
Tables = fun(N) -> rpc:call(N, mnesia, system_info, [local_tables]) -- [schema] end,
[rpc:call(N, lists, foreach, [fun mnesia:force_load_table/1, Tables(N)], 30000) || N <- [node() | nodes()]], <<"[]">>
"""
# Each write says by itself what became of it.
WRITES = """
Ok = fun(ok) -> true; ({ok, _}) -> true; (L) -> is_list(L) end,
Try = fun(F) -> try F() of R -> case Ok(R) of true -> ok; false -> iolist_to_binary(io_lib:format("~0p", [R])) end
  catch _:E -> iolist_to_binary(io_lib:format("~0p", [E])) end end,
rabbit_json:encode([%s])
"""


def text(value):
    """A string of Erlang's that may be anything."""
    return f'base64:decode("{base64.b64encode(value.encode()).decode()}")'


def atom(node):
    """The name of a node, which has been found to be one."""
    return f"'{node}'"


def definitions(**kinds):
    """The call that puts things as they are described in a file of definitions."""
    return f"rabbit_definitions:import_raw({text(json.dumps(kinds))})"


def forget(node):
    """The calls that take a member that does not run away, and its replicas of queues."""
    return [
        f"rabbit_mnesia:forget_cluster_node({atom(node)}, false)",
        f"rabbit_quorum_queue:shrink_all({atom(node)})",
    ]


def join(node):
    """The call that makes a cluster of one node part of this one; what it has is lost, so it must have no queues."""
    rpc = f"rpc:call({atom(node)}, "
    return (
        f"case {rpc}rabbit_amqqueue, count, []) of 0 -> {rpc}rabbit, stop, []), "
        f"ok = {rpc}rabbit_mnesia, join_cluster, [node(), disc]), {rpc}rabbit, start, []); "
        "Count -> {error, {it_is_a_cluster_of_its_own_and_has_queues, Count}} end"
    )


def grow(node):
    """The call that gives a node replicas of the quorum queues."""
    grown = f'rabbit_quorum_queue:grow({atom(node)}, <<".*">>, <<".*">>, all)'
    return f"case [E || {{_, E}} <- {grown}, element(1, E) =/= ok] of [] -> ok; Errors -> {{error, Errors}} end"


def password_hash(password):
    """What the broker keeps of a password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + HASHES[HASH](salt + password.encode()).digest()).decode()


def is_password(password, user):
    """Whether a user has this password."""
    digest = HASHES.get(user["hashing_algorithm"])
    kept = base64.b64decode(user["password_hash"])
    if digest is None or not kept:
        return False
    return secrets.compare_digest(digest(kept[:4] + password.encode()).digest(), kept[4:])


class Cluster:
    """The cluster, by the first of its nodes that runs; that of this host is asked first."""

    def __init__(self, runner, *, node, nodes):
        self.runner = runner
        self.nodes = [node, *(name for name in nodes if name != node)]
        self._node = node

    def is_blank(self):
        """Whether this host's node never ran."""
        return not os.path.isdir(os.path.join(HOME, "mnesia", self.nodes[0]))

    def wait(self, seconds):
        """Wait until this host's node takes clients, and all others that start; choose the one to speak to."""
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
        """What there is in the cluster; C(running) is missing if the node does not run yet."""
        listed = "[" + ", ".join(map(atom, self.nodes)) + "]"
        code = STATE % {"nodes": listed, "replicas": min(QUORUM, len(self.nodes))}
        try:
            return self._eval(code, self.runner.read)
        except ItemError as error:
            if "Target node is not running" in str(error):  # which is what it says of any that it cannot reach
                raise ItemError(f"{self._node} cannot be reached") from error
            raise

    def force(self):
        """Let the starting nodes take what they have for the newest, and not wait for others."""
        self._eval(FORCE, self.runner.write)

    def change(self, writes):
        """Do C(writes), pairs of a name and a call, one after another; return what failed."""
        calls = [f"[{text(name)}, Try(fun() -> {call} end)]" for name, call in writes]
        answers = self._eval(WRITES % ",\n".join(calls), self.runner.write, timeout=180)
        return {name: answer for name, answer in answers if answer != "ok"}

    def _eval(self, code, run, timeout=60):
        """Evaluate C(code) in the node; it comes from a file, since everybody may see command lines."""
        code = GUARD % {"tried": json.dumps(TRIED), "code": code}
        with tempfile.NamedTemporaryFile("w", dir=HOME, prefix="skywright-", suffix=".erl") as file:
            file.write(code)
            file.flush()
            os.chown(file.name, pwd.getpwnam(USER).pw_uid, -1)
            answer = run(
                ["rabbitmqctl", "--quiet", "--node", self._node, "eval_file", file.name, "--formatter", "json"],
                timeout=timeout,
            )
        value = json.loads(json.loads(answer)["value"])
        if isinstance(value, dict) and "untried" in value:
            tried = ", ".join(TRIED)
            raise ItemError(f"{self._node} is RabbitMQ {value['untried']}: this module was tried with {tried} only")
        return value


def listens(node, port):
    """Whether somebody takes connections at a port of a node's host."""
    try:
        with socket.create_connection((node.partition("@")[2], port), timeout=0.5):
            return True
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise ItemError(f"{node}: {error}") from error
        return False
