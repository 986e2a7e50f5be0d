"""Helpers of the console tests: an ssh that connects its input and output to a socket of the test, and browsers."""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from openstack.connection import Connection
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures
from contract.conftest import Api

GREETING = b"RFB 003.008\n"
WANTED = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
SSH = """#!{python}
import os, pathlib, socket, sys, threading
state = pathlib.Path({directory!r})
(state / "arguments").write_text("\\0".join(sys.argv[1:]))
(state / "pid").write_text(str(os.getpid()))
said = state / "says"
if said.exists():
    sys.exit(said.read_text())
screen = socket.socket(socket.AF_UNIX)
screen.connect(str(state / "screen"))
def copy(source, target):
    while data := os.read(source, 65536):
        while data:
            data = data[os.write(target, data):]
    os._exit(0)
threading.Thread(target=copy, args=(screen.fileno(), 1)).start()
copy(0, screen.fileno())
"""


class Host:
    """A host that the API reaches by ssh; *screen* handles each connection to its only display."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.screen: Callable[[socket.socket], None] = echo
        program = directory / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(SSH.format(python=sys.executable, directory=str(directory)))
        program.chmod(0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / "screen"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._show, args=[connection], daemon=True).start()

    def _show(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.screen(connection)

    def fails(self, words: str) -> None:
        """Let ssh fail from now on, with the message *words*."""
        (self.directory / "says").write_text(words)

    @property
    def arguments(self) -> list[str]:
        """The last arguments of ssh."""
        return (self.directory / "arguments").read_text().split("\0")

    @property
    def connected(self) -> bool:
        """Whether the last ssh process is alive."""
        try:
            os.kill(int((self.directory / "pid").read_text()), 0)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def echo(connection: socket.socket) -> None:
    """A display that sends a greeting and then repeats its input."""
    connection.sendall(GREETING)
    while data := connection.recv(65536):
        connection.sendall(data)


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    yield host
    host.close()


def socket_of(url: str) -> str:
    """The WebSocket that noVNC's page at *url* connects to."""
    page = urlsplit(url)
    return f"ws://{page.netloc}/{parse_qs(page.query)['path'][0]}"


def browse(url: str, **options: Any) -> ClientConnection:
    """Connect to the console at *url* like noVNC."""
    return connect(socket_of(url), max_size=None, **options)


def refusal(address: str) -> int:
    """The HTTP status of a refused WebSocket."""
    with pytest.raises(InvalidStatus) as caught, connect(address):
        pass
    return caught.value.response.status_code
