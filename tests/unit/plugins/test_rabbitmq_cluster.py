"""rabbitmq_cluster against a scripted broker, which understands what is written as far as its names go."""

import base64
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import rabbitmq
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.modules import rabbitmq_cluster

from .conftest import predicted

A, B, C = (f"rabbit@10.0.0.{number}" for number in (1, 2, 3))
ALL = ".*"
GRANT = {"configure": ALL, "write": ALL, "read": ALL}
ARGS = {
    "node": A,
    "nodes": [A, B, C],
    "wait": 0,
    "vhosts": [{"name": "cloud"}],
    "users": [
        {"name": "guest", "state": "absent"},
        {"name": "api", "password": "secret", "permissions": [{"vhost": "cloud"}]},
    ],
    "policies": [{"name": "expiry", "vhost": "cloud", "definition": {"expires": 1}}],
}
CALL = re.compile(r'\[base64:decode\("([^"]*)"\), Try\(fun\(\) -> (.*) end\)\],?')
TEXT = re.compile(r'base64:decode\("([^"]*)"\)')


def plain(code):
    """A call with its texts readable."""
    return TEXT.sub(lambda found: base64.b64decode(found[1]).decode(), code)


class Broker:
    """The answers of rabbitmqctl, and the writes that it was given."""

    def __init__(self, home):
        self.home = home
        self.listening = {(node, port) for node in (A, B, C) for port in (rabbitmq.CLIENTS, rabbitmq.NODES)}
        self.version = "3.10"
        self.refused, self.sent, self.asked, self.starting = {}, [], [], None
        self.state = {
            "members": [A, B, C],
            "running": [A, B, C],
            "vhosts": [{"name": "/"}],
            "users": [self.user("guest", "guest", ["administrator"])],
            "permissions": [{"user": "guest", "vhost": "/", **GRANT}],
        }

    @staticmethod
    def user(name, password, tags=()):
        kept = {"hashing_algorithm": rabbitmq.HASH, "password_hash": rabbitmq.password_hash(password)}
        return {"name": name, "tags": list(tags), **kept}

    def converged(self):
        self.state["vhosts"].append({"name": "cloud"})
        self.state["users"] = [self.user("api", "secret"), self.user("other", "x")]
        self.state["permissions"] = [{"user": "api", "vhost": "cloud", **GRANT}]
        policy = {"vhost": "cloud", "name": "expiry", "pattern": ALL, "apply-to": "all", "priority": 0}
        self.state["policies"] = [{**policy, "definition": {"expires": 1}}]

    def __call__(self, argv):
        assert argv[:3] == ["rabbitmqctl", "--quiet", "--node"]
        self.asked.append(argv[3])
        code = Path(argv[5]).read_text()
        if f'"{self.version}"' not in code:
            return self.answer({"untested": f"{self.version}.9"})
        if "list_users" in code:
            return self.answer(self.starting or self.state)
        if "force_load" in code:
            self.sent, self.starting = ["force"], None
            return self.answer([])
        writes = [(base64.b64decode(name).decode(), plain(call)) for name, call in CALL.findall(code)]
        assert writes
        self.sent += [call for _name, call in writes]
        return self.answer([[name, self.refused.get(name, "ok")] for name, _call in writes])

    @staticmethod
    def answer(value):
        return json.dumps({"node": A, "result": "ok", "value": json.dumps(value)})

    def wrote(self, word):
        return [call for call in self.sent if word in call]


@pytest.fixture
def broker(programs, monkeypatch, tmp_path):
    there = Broker(tmp_path)
    programs["rabbitmqctl"] = there
    (tmp_path / "mnesia" / A).mkdir(parents=True)
    monkeypatch.setattr(rabbitmq, "HOME", str(tmp_path))
    monkeypatch.setattr(rabbitmq, "listens", lambda node, port: (node, port) in there.listening)
    monkeypatch.setattr(rabbitmq.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=-1))
    return there


def test_makes_everything_with_one_command_that_reads_and_one_that_writes(run_module, broker):
    answer = run_module(rabbitmq_cluster.main, ARGS)
    actions = {item_id: result["action"] for item_id, result in answer["by_id"].items()}
    assert actions == {
        "cluster": None,
        "vhost cloud": "create",
        "user guest": "delete",
        "user api": "create",
        "policy cloud expiry": "create",
    }
    assert broker.asked == [A, A]
    kinds = [re.sub(r"[({\[].*", "", call) for call in broker.sent]
    assert kinds == [*["rabbit_definitions:import_raw"] * 3, "rabbit_auth_backend_internal:delete_user"]
    assert '"vhosts": [{"name": "cloud"}]' in broker.sent[0]


def test_a_version_that_it_was_not_tried_with_is_refused(run_module, broker):
    broker.version = "4.0"
    answer = run_module(rabbitmq_cluster.main, ARGS)
    assert {result["error"] for result in answer["results"]} == {
        f"{A} is RabbitMQ 4.0.9: this module was tested with 3.10 only"
    }
    assert broker.sent == []


def test_a_second_run_changes_nothing(run_module, broker):
    broker.converged()
    answer = run_module(rabbitmq_cluster.main, ARGS)
    assert not answer["changed"]
    assert broker.asked == [A]


def test_check_mode_predicts_and_writes_nothing(run_module, broker):
    foretold = run_module(rabbitmq_cluster.main, ARGS, check=True)
    assert foretold["changed"]
    assert broker.sent == []
    assert predicted(foretold) == predicted(run_module(rabbitmq_cluster.main, ARGS))


def test_check_mode_foretells_what_a_node_that_never_ran_will_get(run_module, broker):
    foretold = run_module(rabbitmq_cluster.main, ARGS, check=True)
    (broker.home / "mnesia" / A).rmdir()
    blank = run_module(rabbitmq_cluster.main, ARGS, check=True)
    assert {key: result["action"] for key, result in blank["by_id"].items()} == {
        key: result["action"] for key, result in foretold["by_id"].items()
    }
    assert broker.asked == [A]


def test_passwords_and_hashes_are_in_no_answer_and_no_command(run_module, broker):
    broker.converged()
    broker.state["users"] = [broker.user("api", "former"), broker.user("guest", "guest")]
    answer = run_module(rabbitmq_cluster.main, ARGS)
    assert answer["by_id"]["user api"]["action"] == "update"
    (wrote,) = broker.wrote("import_raw")
    hashed = json.loads(wrote[len("rabbit_definitions:import_raw(") : -1])["users"][0]
    assert rabbitmq.is_password("secret", hashed)
    assert not rabbitmq.is_password("former", hashed)
    told = json.dumps(answer)
    kept = [user["password_hash"] for user in broker.state["users"]]
    assert not any(text in told for text in ["secret", hashed["password_hash"], *kept])
    assert not list(broker.home.glob("*.erl"))


def test_permissions_that_are_not_listed_are_taken_away(run_module, broker):
    broker.converged()
    broker.state["permissions"].append({"user": "api", "vhost": "/", **GRANT})
    run_module(rabbitmq_cluster.main, ARGS)
    assert broker.wrote("clear_permissions") == ["rabbit_auth_backend_internal:clear_permissions(api, /, skywright)"]


def test_absent(run_module, broker):
    broker.converged()
    gone = {
        "vhosts": [{"name": "cloud", "state": "absent"}],
        "users": [{"name": "api", "state": "absent"}],
        "policies": [{"name": "expiry", "vhost": "cloud", "state": "absent"}],
    }
    run_module(rabbitmq_cluster.main, {**ARGS, **gone})
    assert broker.sent == [
        "rabbit_policy:delete(cloud, expiry, skywright)",
        "rabbit_auth_backend_internal:delete_user(api, skywright)",
        "rabbit_vhost:delete(cloud, skywright)",
    ]


def test_one_bad_item_never_stops_the_others(run_module, broker):
    broker.refused = {"vhost cloud": "{error, no}"}
    answer = run_module(
        rabbitmq_cluster.main, {**ARGS, "users": [{"name": "bare"}, {"name": "guest", "state": "absent"}]}
    )
    assert answer["failed"]
    errors = {item_id: result["error"] for item_id, result in answer["by_id"].items() if "error" in result}
    assert errors == {"vhost cloud": "{error, no}", "user bare": "a user that is present needs a password"}
    assert broker.wrote("delete_user")


def test_a_member_that_is_not_listed_is_forgotten(run_module, broker):
    broker.converged()
    answer = run_module(rabbitmq_cluster.main, {**ARGS, "nodes": [A, B]})
    assert answer["by_id"]["cluster"]["diff"]["after"]["members"] == [A, B]
    assert broker.sent == [
        f"rabbit_mnesia:forget_cluster_node('{C}', false)",
        f"rabbit_quorum_queue:shrink_all('{C}')",
    ]


def test_a_dead_member_that_is_listed_stays(run_module, broker):
    broker.converged()
    broker.state["running"] = [A, B]
    broker.listening -= {(C, rabbitmq.CLIENTS), (C, rabbitmq.NODES)}
    assert not run_module(rabbitmq_cluster.main, ARGS)["changed"]


def test_a_node_of_its_own_joins_and_gets_replicas(run_module, broker):
    broker.converged()
    broker.state |= {"members": [A, B], "running": [A, B], "alone": [C], "lacking": [B, "rabbit@10.0.0.9"]}
    assert run_module(rabbitmq_cluster.main, ARGS)["changed"]
    joined, *grown = broker.sent
    assert f"rpc:call('{C}', rabbit_mnesia, join_cluster, [node(), disc])" in joined
    assert [re.search(r"grow\('([^']*)'", call)[1] for call in grown] == [B, C]


def test_another_node_is_asked_when_that_of_this_host_does_not_run(run_module, broker):
    broker.converged()
    broker.listening -= {(A, rabbitmq.CLIENTS)}
    assert not run_module(rabbitmq_cluster.main, ARGS)["changed"]
    assert broker.asked == [B]


@pytest.fixture
def dead(broker):
    """Nodes A and B start, and wait for C, which stopped after them."""
    broker.converged()
    broker.listening = {(A, rabbitmq.NODES), (B, rabbitmq.NODES)}
    broker.starting = {"members": [A, B, C], "connected": [A, B]}
    return broker


def test_a_cluster_that_waits_for_a_node_which_may_know_more_says_so(run_module, dead):
    answer = run_module(rabbitmq_cluster.main, ARGS)
    assert answer["failed"]
    assert f"{A} is not running yet; it waits for {C}, which may have newer data" in answer["msg"]
    assert dead.sent == []


def test_a_cluster_starts_without_a_node_that_is_none_of_it_any_more(run_module, dead):
    answer = run_module(rabbitmq_cluster.main, {**ARGS, "nodes": [A, B]})
    assert "failed" not in answer
    assert dead.sent[:2] == ["force", f"rabbit_mnesia:forget_cluster_node('{C}', false)"]


def test_check_mode_never_forces_anything(run_module, dead):
    assert run_module(rabbitmq_cluster.main, {**ARGS, "nodes": [A, B]}, check=True)["failed"]
    assert dead.sent == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no answer", "no answer"),
        ("Most common reasons: ... * Target node is not running ...", f"{A} cannot be reached"),
    ],
)
def test_a_broker_that_cannot_be_asked_is_an_error_of_every_item(run_module, broker, programs, said, told):
    def fails(argv):
        raise ItemError(said)

    programs["rabbitmqctl"] = fails
    answer = run_module(rabbitmq_cluster.main, ARGS)
    assert {result["error"] for result in answer["results"]} == {told}


@pytest.mark.parametrize("name", ["rabbit", "rabbit@h'), halt().", "rabbit@a b", ""])
def test_what_is_not_the_name_of_a_node_is_refused(run_module, broker, name):
    answer = run_module(rabbitmq_cluster.main, {**ARGS, "nodes": [A, name]})
    assert "is not the name of a node" in answer["msg"]
    assert broker.asked == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
def test_passwords_are_compared_by_the_hash_that_the_broker_uses(algorithm):
    digest = rabbitmq.HASHES[f"rabbit_password_hashing_{algorithm}"]
    kept = base64.b64encode(b"salt" + digest("saltpässword".encode()).digest()).decode()
    user = {"hashing_algorithm": f"rabbit_password_hashing_{algorithm}", "password_hash": kept}
    assert rabbitmq.is_password("pässword", user)
    assert not rabbitmq.is_password("password", user)


def test_a_user_without_a_password_has_none_that_could_be_right():
    assert not rabbitmq.is_password("", {"hashing_algorithm": rabbitmq.HASH, "password_hash": ""})
