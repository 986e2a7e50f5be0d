"""Stations in network namespaces: clients and servers of TCP and UDP. Runs on the host until its input ends.

stations.py JSON    the stations: [{name, bridge, tag, mac, addresses, gateways}]

Each station answers on the ports of TCP and UDP in PORTS with "NAME:PORT from ADDRESS". A line of input is a request in
JSON, [FROM, PROTOCOL, ADDRESS, PORT]; the answer is printed, or the name of the error. The request [FROM, PROTOCOL,
ADDRESS, PORT, NAME] keeps its connection, and the request [NAME] uses it again.
"""

import ctypes
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PORTS = (80, 81, 82, 8080)
SECONDS = 1.5
LIBC = ctypes.CDLL(None, use_errno=True)
TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def create(station: dict[str, Any]) -> None:
    name, outer, inner = station["name"], f"st-{station['name']}", f"in-{station['name']}"
    space = ("ip", "-n", outer)
    run("ip", "netns", "add", outer)
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
    for device in (outer, inner):
        run("ethtool", "-K", device, "tx", "off")
    run("ip", "link", "set", outer, "addrgenmode", "none", "up")
    run("ip", "link", "set", inner, "netns", outer)
    run(*space, "link", "set", inner, "address", station["mac"], "mtu", "1400", "up")
    run(*space, "link", "set", "lo", "up")
    for address in station["addresses"]:
        run(*space, "address", "add", address, "dev", inner, *(["nodad"] if ":" in address else []))
    for gateway in station["gateways"]:
        run(*space, "route", "add", "::/0" if ":" in gateway else "0.0.0.0/0", "via", gateway)
    run("ovs-vsctl", "--may-exist", "add-port", station["bridge"], outer, f"tag={station['tag']}")
    with inside(outer):
        for port in PORTS:
            serve(name, port)


def remove(station: dict[str, Any]) -> None:
    """Remove what there is of a station. Its closing connections keep its namespace, without a name, for a while."""
    outer = f"st-{station['name']}"
    for argv in (
        ["ovs-vsctl", "--if-exists", "del-port", outer],
        ["ip", "link", "delete", outer],
        ["ip", "netns", "delete", outer],
    ):
        subprocess.run(argv, check=False, stderr=subprocess.DEVNULL)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Work in a namespace; sockets stay in that in which they were created."""
    with Path("/proc/self/ns/net").open() as here, Path("/run/netns", namespace).open() as there:
        LIBC.setns(there.fileno(), 0)
        try:
            yield
        finally:
            LIBC.setns(here.fileno(), 0)


def serve(name: str, port: int) -> None:
    for kind in TYPES.values():
        server = socket.socket(socket.AF_INET6, kind)  # for both IP versions
        server.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            server.listen()
        target = accept if kind == socket.SOCK_STREAM else answer
        threading.Thread(target=target, args=(server, f"{name}:{port}"), daemon=True).start()


def accept(server: socket.socket, name: str) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection, name), daemon=True).start()


def answer(server: socket.socket, name: str) -> None:
    try:
        while True:
            data, sender = server.recvfrom(100)
            peer = sender or server.getpeername()
            if not data:
                return
            text = f"{name} from {peer[0].removeprefix('::ffff:')}".encode()
            server.sendto(text, sender) if sender else server.sendall(text)
    except OSError:  # reset
        server.close()


def ask(connection: socket.socket) -> str:
    connection.send(b"?")
    return connection.recv(100).decode() or "closed"


def connect(station: str, protocol: str, address: str, port: int) -> socket.socket:
    with inside(f"st-{station}"):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, TYPES[protocol])
    client.settimeout(SECONDS)
    client.connect((address, port))
    return client


def main() -> None:
    stations, kept = json.loads(sys.argv[1]), dict[str, socket.socket]()
    for station in stations:
        remove(station)
    try:
        for station in stations:
            create(station)
        print("ready", flush=True)
        for request in map(json.loads, sys.stdin):
            try:
                client = kept[request[0]] if len(request) == 1 else connect(*request[:4])
                if len(request) == 5:
                    kept[request[4]] = client
                print(ask(client), flush=True)
            except OSError as error:
                print(type(error).__name__, flush=True)
    finally:
        for station in stations:
            remove(station)


main()
