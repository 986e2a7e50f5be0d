"""The services of a host: whatever one of them says or does not say, the others are told."""

import contextlib
import json
import socket
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.modules import service_status

UNITS = """\
Id=mariadb.service
LoadState=loaded
ActiveState=active
SubState=running

Id=gone.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""
STATS = """\
# pxname,svname,qcur,status,
api,FRONTEND,,OPEN,
api,c2,0,DOWN,
api,c1,0,UP,
api,BACKEND,0,UP,
"""
CLUSTER = {"running_nodes": ["b", "a"], "disk_nodes": ["a", "b", "c"], "alarms": [], "partitions": {}}
ADDRESSES = [{"ifname": "eth0", "addr_info": [{"local": "10.0.0.11"}, {"local": "10.0.0.9"}]}]


@pytest.fixture
def programs_of_a_controller(programs):
    programs["systemctl"] = lambda argv: UNITS
    programs["ip"] = lambda argv: json.dumps(ADDRESSES)
    programs["rabbitmqctl"] = lambda argv: json.dumps(CLUSTER)
    programs["openssl"] = lambda argv: "notAfter=Jan  1 00:00:00 2000 GMT\n"
    return programs


@pytest.fixture
def haproxy(tmp_path):
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100) == b"show stat\n"
                connection.sendall(STATS.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join()


@pytest.fixture
def api():
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 503)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def controller(programs_of_a_controller, haproxy, api, monkeypatch):
    """The arguments of a controller of which all parts answer."""
    monkeypatch.setitem(sys.modules, "pymysql", types.SimpleNamespace(connect=Server, MySQLError=OSError))
    return {"controller": True, "virtual_address": "10.0.0.9", "api": f"{api}/readyz", "haproxy_socket": haproxy}


class Server:
    """A database in place of a connection to it, and of its cursor."""

    status = (("wsrep_local_state_comment", "Synced"), ("wsrep_cluster_status", "Primary"))
    status += (("wsrep_cluster_size", "3"), ("wsrep_ready", "ON"))

    def __init__(self, **options):
        assert options["unix_socket"] and options["read_timeout"] > 0

    def cursor(self):
        return contextlib.nullcontext(self)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def execute(self, statement):
        assert statement.startswith("SHOW")

    def fetchall(self):
        return self.status


@pytest.mark.parametrize("check", [False, True])
def test_all_parts_are_told(run_module, controller, tmp_path, check):
    certificate = tmp_path / "host.pem"
    certificate.touch()
    arguments = {
        **controller,
        "units": ["mariadb.service", "gone.service"],
        "certificates": [str(certificate), str(tmp_path / "none.pem")],
    }
    answer = run_module(service_status.main, arguments, check=check)
    host = answer["host"]
    assert answer["changed"] is False
    assert {name: unit["state"] for name, unit in host["units"].items()} == {
        "mariadb.service": "active", "gone.service": "missing",
    }  # fmt: skip
    assert host["certificates"][str(certificate)] < 0 and host["certificates"][str(tmp_path / "none.pem")] is None
    assert host["virtual_address"] is True
    assert host["rabbitmq"] == {"running": ["a", "b"], "known": ["a", "b", "c"], "alarms": [], "partitions": []}
    assert [(row["server"], row["status"]) for row in host["haproxy"]["servers"]] == [("c1", "UP"), ("c2", "DOWN")]
    assert host["api"] == {"ready": True, "detail": "200"}
    assert host["galera"] == {"state": "Synced", "cluster": "Primary", "size": 3, "ready": True}


def test_who_does_not_answer_keeps_nobody_from_being_told(
    run_module, programs_of_a_controller, tmp_path, api, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pymysql", None)  # it cannot be imported

    def frozen(argv):
        raise ItemError("rabbitmqctl did not end within 20 seconds")

    programs_of_a_controller["rabbitmqctl"] = frozen
    arguments = {"units": ["mariadb.service", "gone.service"], "controller": True, "api": f"{api}/other"}
    arguments["haproxy_socket"] = str(tmp_path / "none.sock")
    host = run_module(service_status.main, arguments)["host"]
    assert host["rabbitmq"] == {"error": "rabbitmqctl did not end within 20 seconds"}
    assert "No such file" in host["haproxy"]["error"]
    assert host["galera"]["error"]
    assert host["api"] == {"ready": False, "detail": "503"}
    assert host["units"]["mariadb.service"]["state"] == "active"


def test_an_api_that_does_not_listen_is_told(run_module, programs):
    host = run_module(service_status.main, {"api": "http://127.0.0.1:1/readyz"})["host"]
    assert "refused" in host["api"]["error"]
    assert host["units"] == {}
