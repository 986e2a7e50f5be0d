"""haproxy_server against a socket that answers as HAProxy does."""

import socket
import threading

import pytest
from ansible_collections.skywright.cloud.plugins.modules import haproxy_server

from .conftest import predicted

MAINT = {"servers": [{"name": "controller1", "state": "maint"}], "drain_seconds": 2}
ADMIN = {"ready": 0, "maint": 1, "drain": 8}


class HAProxy:
    """Keeps what is ordered; requests of the web servers end after some looks at them."""

    def __init__(self, path):
        self.servers = {f"{b}/controller{n}": "ready" for b in ("web", "db") for n in (1, 2)}
        self.sessions, self.orders, self.refused = 0, [], None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._answer(connection.makefile().readline().split()).encode())

    def _answer(self, words):
        if words == ["show", "servers", "state"]:
            rows = [
                f"4 {s.split('/')[0]} 1 {s.split('/')[1]} 10.0.0.11 2 {ADMIN[v]} 1" for s, v in self.servers.items()
            ]
            return "\n".join(["1", "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state", *rows])
        if words == ["show", "stat"]:
            self.sessions -= 1
            rows = ["web,FRONTEND,9,http", f"web,controller1,{max(self.sessions, 0)},http", "db,controller1,7,tcp"]
            return "\n".join(["# pxname,svname,scur,mode", *rows])
        assert words[:2] == ["set", "server"]
        if words[2] == self.refused:
            return "No such server.\n"
        self.orders.append((words[2], words[4]))
        self.servers[words[2]] = words[4]
        return "\n"


@pytest.fixture
def haproxy(tmp_path, monkeypatch):
    monkeypatch.setitem(haproxy_server.ARGUMENT_SPEC["socket"], "default", str(tmp_path / "socket"))
    there = HAProxy(tmp_path / "socket")
    yield there
    there.listener.close()


def test_a_server_leaves_all_backends_when_its_requests_have_ended(run_module, haproxy):
    haproxy.sessions = 4
    answer = run_module(haproxy_server.main, MAINT)
    assert answer["by_id"]["controller1"]["status"] == "maint"
    assert [state for _, state in haproxy.orders] == ["drain", "drain", "maint", "maint"]
    assert haproxy.sessions <= 0
    assert haproxy.servers == {
        "web/controller1": "maint",
        "db/controller1": "maint",
        "web/controller2": "ready",
        "db/controller2": "ready",
    }


def test_requests_that_do_not_end_are_not_waited_for_forever(run_module, haproxy):
    haproxy.sessions = 10**6
    run_module(haproxy_server.main, {**MAINT, "drain_seconds": 1})
    assert haproxy.servers["web/controller1"] == "maint"


@pytest.mark.parametrize("state", ["ready", "drain", "maint"])
def test_a_second_run_changes_nothing(run_module, haproxy, state):
    args = {"servers": [{"name": "controller1", "state": state}]}
    run_module(haproxy_server.main, args)
    haproxy.orders.clear()
    answer = run_module(haproxy_server.main, args)
    assert (answer["changed"], answer["commands"], haproxy.orders) == (False, [], [])


def test_a_server_comes_back(run_module, haproxy):
    haproxy.servers["db/controller1"] = "maint"
    assert run_module(haproxy_server.main, {"servers": [{"name": "controller1"}]})["changed"]
    assert set(haproxy.servers.values()) == {"ready"}


def test_check_mode_predicts_and_orders_nothing(run_module, haproxy):
    foretold = run_module(haproxy_server.main, MAINT, check=True)
    assert haproxy.orders == []
    assert predicted(foretold) == predicted(run_module(haproxy_server.main, MAINT))


def test_one_bad_server_never_stops_the_others(run_module, haproxy):
    haproxy.refused = "web/controller2"
    servers = [{"name": name, "state": "drain"} for name in ("unknown", "controller2", "controller1")]
    answer = run_module(haproxy_server.main, {"servers": servers})
    assert answer["failed"]
    assert "no backend" in answer["by_id"]["unknown"]["error"]
    assert answer["by_id"]["controller2"]["error"] == "No such server."
    assert haproxy.servers["web/controller1"] == "drain"


def test_without_haproxy_every_server_has_an_error(run_module, haproxy):
    answer = run_module(haproxy_server.main, {**MAINT, "socket": "/nonexistent"})
    assert answer["failed"]
    assert "No such file" in answer["by_id"]["controller1"]["error"]
