"""Connections are kept alive between requests, and closed cleanly."""

import gc
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from contract.conftest import Api, run_api
from skywright.http import server
from skywright.http.audit import PendingRecord
from skywright.settings import Settings


@contextmanager
def stoppable(tmp_path: Path) -> Iterator[tuple[Api, threading.Event]]:
    """A separate API, which begins to stop when the event is set and has stopped at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = run_api(Settings(state_dir=tmp_path, public_url=url), listener)
    api, stop = next(running), threading.Event()

    def end() -> None:
        stop.wait()
        next(running, None)

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield api, stop
    finally:
        stop.set()
        thread.join()


@contextmanager
def connect(api: Api) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=20)) as connection:
        connection.connect()
        connection.auto_open = 0  # it never reconnects
        yield connection


def get(connection: http.client.HTTPConnection, path: str = "/healthz", **headers: str) -> http.client.HTTPResponse:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer


def ended(connection: http.client.HTTPConnection) -> bool:
    """Wait for the end of the connection; False if it was reset."""
    try:
        return connection.sock.recv(1) == b""
    except ConnectionResetError:
        return False


def refuses(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def wait_until_stopping(api: Api) -> None:
    limit = time.monotonic() + 10
    while not refuses(api.url):
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_a_connection_outlives_the_interval_of_a_polling_client() -> None:
    """Clients poll every 5 s. The next test shows that the limit holds; a test in the lab polls for five minutes."""
    assert server.KEEP_ALIVE_SECONDS == 75


def test_an_idle_connection_ends_cleanly_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 1)
    with stoppable(tmp_path) as (api, _stop), connect(api) as connection:
        for _ in range(5):  # each request restarts the timeout
            assert get(connection).status == 200
            time.sleep(0.4)
        began = time.monotonic()
        assert ended(connection)
        assert 0.3 < time.monotonic() - began < 3


def test_haproxy_keeps_connections_of_clients_as_long_as_the_api() -> None:
    template = Path("roles/haproxy/templates/haproxy.cfg.j2").read_text()
    assert re.findall(r"timeout http-keep-alive (\S+)", template) == [f"{server.KEEP_ALIVE_SECONDS}s"]
    # It opens a new connection to the API for each request, so no idle one can be closed at the wrong moment.
    assert "option http-server-close" in template


def test_an_internal_error_does_not_close_the_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_arguments: object) -> None:
        raise RuntimeError("of the test")

    with connect(api) as connection, api.connect() as admin:
        headers = {"X-Auth-Token": admin.auth_token}
        with monkeypatch.context() as patch:
            patch.setattr(api.cloud, "authenticate", crash)
            answer = get(connection, "/compute/v2.1/servers", **headers)
        assert (answer.status, answer.getheader("connection")) == (500, None)
        assert get(connection, "/compute/v2.1/servers", **headers).status == 200


def test_a_request_that_arrives_while_the_api_stops_is_answered(tmp_path: Path) -> None:
    with stoppable(tmp_path) as (api, stop), connect(api) as kept, connect(api) as idle:
        get(kept)
        get(idle)
        stop.set()
        wait_until_stopping(api)
        answer = get(kept)
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert ended(idle)


def test_a_request_in_flight_while_the_api_stops_is_finished(tmp_path: Path) -> None:
    with stoppable(tmp_path) as (api, stop), api.connect() as admin, connect(api) as connection:
        image = admin.image.create_image("slow", disk_format="raw", container_format="bare", allow_duplicates=True)
        connection.putrequest("PUT", f"/image/v2/images/{image.id}/file")
        connection.putheader("X-Auth-Token", admin.auth_token)
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", "6")
        connection.endheaders()
        stop.set()
        wait_until_stopping(api)
        for _ in range(6):  # longer than an idle connection is kept
            time.sleep(server.LINGER_SECONDS / 4)
            connection.send(b"x")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (204, "close")


def test_a_stream_ends_with_a_complete_message_when_the_api_stops(tmp_path: Path) -> None:
    with stoppable(tmp_path) as (api, stop), api.connect() as admin, connect(api) as connection:
        connection.request("GET", "/v1/follow", headers={"X-Auth-Token": admin.auth_token})
        answer = connection.getresponse()
        assert b"event: ready" in answer.read1()
        stop.set()
        began = time.monotonic()
        answer.read()  # raises IncompleteRead if it was cut off
        assert time.monotonic() - began < 3


def test_an_idle_connection_keeps_no_request(api: Api) -> None:
    before = {id(each) for each in gc.get_objects() if isinstance(each, server.Connection)}
    with connect(api) as connection:
        assert get(connection, "/identity/v3", canary="x" * 1000).status == 200
        [idle] = [each for each in gc.get_objects() if isinstance(each, server.Connection) and id(each) not in before]
        assert (idle.scope, idle.headers, idle.cycle.scope) == ({}, [], {})
        assert get(connection).status == 200


def test_a_request_that_arrives_during_a_response_is_answered(api: Api) -> None:
    request = b"GET /identity/v3 HTTP/1.1\r\nHost: cloud\r\n\r\n"
    with connect(api) as connection:
        for sent in (request + request[:20], request[20:]):
            connection.sock.sendall(sent)
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            assert answer.status == 200 and answer.read()


def test_a_request_that_arrives_before_the_end_of_a_response_is_answered(api: Api) -> None:
    """After the last byte of a file, a client may send the next request before the server has noted the end."""
    request = b"GET /identity/v3 HTTP/1.1\r\nHost: cloud\r\n\r\n"
    with connect(api) as connection:
        connection.sock.sendall(request * 3)
        received = b""
        while received.count(b'"media-types"') < 3:
            received += connection.sock.recv(65536)
        assert received.count(b"HTTP/1.1 200 OK") == 3


def test_an_idle_connection_keeps_nothing_of_its_last_request(api: Api) -> None:
    gateway = api.cloud.gateway
    assert gateway is not None

    def kept() -> int:
        gateway.audit_writer.flush()
        gc.collect()
        return sum(isinstance(found, PendingRecord) for found in gc.get_objects())

    before = kept()
    with connect(api) as connection:
        connection.request("POST", "/identity/v3/auth/tokens", b"{}", {"Content-Type": "application/json"})
        assert connection.getresponse().read()
        limit = time.monotonic() + 5
        while kept() > before:
            assert time.monotonic() < limit, "the record of the request is still there"
        assert get(connection).status == 200
