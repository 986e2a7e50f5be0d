"""Consoles of servers: URLs, tokens, the page, and the WebSocket with a fake host."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from openstack.connection import Connection
from websockets.exceptions import ConnectionClosed

from contract.compute_helpers import Fixtures, Nova, run_jobs
from contract.conftest import Api
from contract.console_helpers import GREETING, WANTED, Host, browse, fixtures, host, nova, refusal, socket_of

__all__ = ["fixtures", "host", "nova"]


@pytest.fixture
def server(api: Api, nova: Nova, fixtures: Fixtures) -> str:
    """The id of an ACTIVE server."""
    answer = nova("POST", "/servers", fixtures.body())
    run_jobs(api.cloud)
    return str(answer.json()["server"]["id"])


@pytest.fixture
def url(nova: Nova, server: str) -> str:
    return str(nova("POST", f"/servers/{server}/remote-consoles", WANTED).json()["remote_console"]["url"])


def eventually(probe: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not probe() and time.monotonic() < end:
        time.sleep(0.01)
    return probe()


def test_the_url(api: Api, nova: Nova, server: str) -> None:
    answer = nova("POST", f"/servers/{server}/remote-consoles", WANTED, version="2.6")
    assert answer.status_code == 200, answer.text
    console = answer.json()["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    page, _, query = console["url"].partition("?path=")
    assert page == f"{api.url}/compute/console/vnc_lite.html"
    assert unquote(query).startswith(f"compute/console/socket?token={server}.")
    assert nova("POST", f"/servers/{server}/remote-consoles", WANTED, version="2.5").status_code == 404


def test_the_action_of_old_microversions(nova: Nova, server: str) -> None:
    path, body = f"/servers/{server}/action", {"os-getVNCConsole": {"type": "novnc"}}
    console = nova("POST", path, body, version="2.1").json()["console"]
    assert console["type"] == "novnc" and f"token%3D{server}." in console["url"]
    assert nova("POST", path, body, version="2.6").status_code == 404
    for argument in ({"type": "xvpvnc"}, {"type": "spice"}, {}, None, {"type": "novnc", "more": 1}, []):
        assert nova("POST", path, {"os-getVNCConsole": argument}, version="2.1").status_code == 400, argument


@pytest.mark.parametrize(
    "wanted",
    [
        {"protocol": "mks", "type": "webmks"},
        {"protocol": "vnc", "type": "xvpvnc"},
        {"protocol": "vnc", "type": "serial"},
        {"protocol": "spice", "type": "spice-html5"},
        {"protocol": "serial", "type": "novnc"},
        {"protocol": "vnc", "type": "other"},
        {"protocol": "vnc"},
        {"protocol": "vnc", "type": "novnc", "more": 1},
        None,
    ],
)
def test_unsupported_consoles(nova: Nova, server: str, wanted: object) -> None:
    answer = nova("POST", f"/servers/{server}/remote-consoles", {"remote_console": wanted}, version="2.8")
    assert answer.status_code == 400, answer.text


def test_only_active_servers_have_consoles(api: Api, nova: Nova, fixtures: Fixtures, host: Host) -> None:
    server = nova("POST", "/servers", fixtures.body()).json()["server"]["id"]
    path = f"/servers/{server}/remote-consoles"
    assert nova("POST", path, WANTED).status_code == 409  # it is being built
    run_jobs(api.cloud)
    console = socket_of(nova("POST", path, WANTED).json()["remote_console"]["url"])
    nova("POST", f"/servers/{server}/action", {"os-stop": None})
    run_jobs(api.cloud)
    stopped = nova("POST", path, WANTED)
    assert stopped.status_code == 409 and "stopped" in stopped.text
    assert refusal(console) == 409
    nova("DELETE", f"/servers/{server}")
    run_jobs(api.cloud)
    assert nova("POST", path, WANTED).status_code == 404
    assert refusal(console) == 404


def test_clients(demo: Connection, server: str) -> None:
    assert demo.compute.create_console(server, "novnc")["url"].startswith("http")


def test_administrators_look_up_tokens(nova: Nova, admin: Connection, api: Api, server: str, url: str) -> None:
    token, administrator = url.rpartition("token%3D")[2], Nova(admin, api.url)
    path = f"/os-console-auth-tokens/{token}"
    console = administrator("GET", path, version="2.31").json()["console"]
    assert (console["instance_uuid"], console["host"]) == (server, "host1")
    assert nova("GET", path).status_code == 403
    assert administrator("GET", f"{path}0").status_code == 404
    assert administrator("GET", path, version="2.30").status_code == 401


def test_the_page(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"{api.url}/compute/console"
    monkeypatch.setattr(api.cloud.settings, "novnc", tmp_path / "pages")
    missing = requests.get(f"{base}/vnc_lite.html", timeout=5)
    assert missing.status_code == 501 and "noVNC" in missing.text
    (tmp_path / "pages" / "core").mkdir(parents=True)
    (tmp_path / "pages" / "core" / "rfb.js").write_text("export default 1")
    script = requests.get(f"{base}/core/rfb.js", timeout=5)
    assert script.text == "export default 1" and "javascript" in script.headers["content-type"]
    assert [requests.get(f"{base}/{path}", timeout=5).status_code for path in ("core", "x", "")] == [404] * 3


def test_both_directions(url: str, server: str, host: Host) -> None:
    with browse(url) as browser:
        assert browser.recv() == GREETING
        parts = [bytes(range(256)) * 4000] * 10
        sent = b"".join(parts)
        sender = threading.Thread(target=lambda: [browser.send(part) for part in parts])
        sender.start()
        received = b""
        while len(received) < len(sent):
            data = browser.recv(timeout=10)
            assert isinstance(data, bytes)
            received += data
        sender.join()
        assert received == sent
        assert host.connected
    assert eventually(lambda: not host.connected)
    assert host.arguments[-2] == "192.0.2.1"
    assert f"domdisplay --type vnc {server})" in host.arguments[-1] and "exec nc.openbsd" in host.arguments[-1]


def test_the_end_of_a_display_closes_the_websocket(url: str, host: Host) -> None:
    host.screen = lambda connection: connection.sendall(GREETING)
    with browse(url, subprotocols=["binary"]) as browser:
        assert browser.subprotocol == "binary"
        assert browser.recv() == GREETING
        with pytest.raises(ConnectionClosed) as caught:
            browser.recv(timeout=5)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1000
    assert eventually(lambda: not host.connected)


def test_a_browser_that_does_not_read_slows_the_display_down(url: str, host: Host) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        while True:
            sent += connection.send(bytes(65536))

    host.screen = flood
    with browse(url, compression=None, max_queue=1, close_timeout=0.1):
        before, limit = 0, time.monotonic() + 20
        while sent == 0 or sent != before:
            assert time.monotonic() < limit, "nobody reads, and it goes on"
            before = sent
            time.sleep(0.3)
        assert sent < 32 << 20


def test_text_frames_are_refused(url: str, host: Host) -> None:
    with browse(url) as browser:
        browser.recv()
        browser.send("text")
        with pytest.raises(ConnectionClosed) as caught:
            browser.recv(timeout=5)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1003


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("ssh: connect to host 192.0.2.1 port 22: No route to host", 503),
        ("error: No graphical display with type 'vnc' found", 409),
    ],
)
def test_an_unreachable_display(url: str, host: Host, words: str, status: int) -> None:
    host.fails(words)
    assert refusal(socket_of(url)) == status


def test_the_limit_of_open_consoles(api: Api, url: str, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.cloud.settings, "consoles", 2)
    with browse(url) as first, browse(url) as second:
        assert first.recv() == second.recv() == GREETING
        assert refusal(socket_of(url)) == 503
    assert eventually(lambda: not host.connected)
    with browse(url) as third:
        assert third.recv() == GREETING


@pytest.mark.parametrize("token", ["", "nonsense", "spent"])
def test_the_connection_of_a_refused_console_is_closed(api: Api, nova: Nova, server: str, url: str, token: str) -> None:
    status = 403
    if token == "spent":
        status = 404
        token = unquote(url).partition("token=")[2]
        nova("DELETE", f"/servers/{server}")
        run_jobs(api.cloud)
    request = (
        f"GET /compute/console/socket?token={token} HTTP/1.1\r\nHost: x\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    address = urlsplit(api.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(request.encode())
        answer = b""
        while data := connection.recv(65536):  # raises TimeoutError if it stays open
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"Connection: close" in head
    assert bool(body) == (status != 403)  # without a valid token, no data
