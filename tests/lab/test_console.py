"""The display of a real guest in a browser: the URL, the page, and RFB through WebSocket and SSH."""

import json
import struct
import subprocess
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from openstack.connection import Connection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lab.support import BIN, CLOUD, ROOT, Lab, Made, eventually

RFB = b"RFB 003.008\n"
NO_PASSWORD = 1


class Screen:
    """A minimal RFB client, for the handshake and one picture: https://www.rfc-editor.org/rfc/rfc6143"""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._left = connection, b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size:
            data = self._connection.recv(timeout=20)
            assert isinstance(data, bytes)
            self._left += data
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def begin(self) -> tuple[int, int, str]:
        """Do the handshake; return width, height and name."""
        assert self.read(12) == RFB
        self._connection.send(RFB)
        assert NO_PASSWORD in self.read(self.read(1)[0])
        self._connection.send(bytes([NO_PASSWORD]))
        assert self.read(4) == bytes(4)
        self._connection.send(b"\x01")  # shared
        width, height, *_, length = struct.unpack(">HH16sI", self.read(24))
        return width, height, self.read(length).decode()

    def picture(self, width: int, height: int) -> bytes:
        """Return the pixels of the first rectangle, in raw encoding."""
        self._connection.send(struct.pack(">BBHi", 2, 0, 1, 0))  # raw encoding only
        self._connection.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        kind, rectangles = struct.unpack(">BxH", self.read(4))
        assert kind == 0 and rectangles >= 1
        _, _, wide, high, encoding = struct.unpack(">HHHHi", self.read(12))
        assert encoding == 0
        return self.read(wide * high * 4)


def link(server: Any) -> str:
    command = [BIN / "openstack", "--os-cloud", CLOUD, "console", "url", "show", "--novnc", server.name, "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return str(json.loads(done.stdout)["url"])


def test_the_display_of_a_guest(lab: Lab, cloud: Connection, made: Made) -> None:
    [server] = made.active(made.server([made.network()], host="host2"))
    made.booted(server)
    url = link(server)
    page = requests.get(url, timeout=10)
    assert page.status_code == 200 and "noVNC" in page.text
    parts = urlsplit(url)
    address = f"ws://{parts.netloc}/{parse_qs(parts.query)['path'][0]}"
    joined = "pgrep --full --list-full '^nc[.]openbsd .*vnc[.]sock' || true"
    with connect(address, max_size=None) as first, connect(address, max_size=None) as second:
        width, height, name = Screen(first).begin()
        assert lab["host2"].run(joined).count("\n") == 1
        assert width >= 640 and height >= 400 and server.id in name
        screen = Screen(second)
        assert screen.begin() == (width, height, name)
        assert len(set(screen.picture(width, height))) > 1  # the picture is not empty
        cloud.compute.stop_server(server.id)
        for connection in (first, second):
            with pytest.raises(ConnectionClosed):
                while True:
                    connection.recv(timeout=60)
    made.status(server, "SHUTOFF")
    eventually(lambda: not lab["host2"].run(joined), 10, "nothing of the consoles is left")
    with pytest.raises(InvalidStatus) as caught, connect(address):
        pass
    assert caught.value.response.status_code == 409
