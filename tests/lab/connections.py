"""Connections of TCP and datagrams of UDP, in a namespace of a host.

connections.py serve PORT...             sends back what it gets, by IPv4 and IPv6, until its input ends
connections.py ask udp|tcp ADDRESS PORT SIZE   exits with 0 if SIZE bytes come back within two seconds
connections.py hold ADDRESS PORT COUNT   opens connections, prints "ready", and uses all of them until its input ends;
                                         prints how many of them always worked, and how many segments were sent again
"""

import select
import socket
import struct
import sys
import threading
from collections.abc import Callable

SECONDS = 2
TCPI_TOTAL_RETRANS = 100  # offset in struct tcp_info


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(*ports: str) -> None:
    for port in map(int, ports):
        listening = socket.create_server(("::", port), family=socket.AF_INET6, backlog=500, dualstack_ipv6=True)
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.bind(("::", port))
        threading.Thread(target=answer, args=(datagrams,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def accept(listening: socket.socket) -> None:
    while True:
        threading.Thread(target=echo, args=(listening.accept()[0],), daemon=True).start()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def answer(datagrams: socket.socket) -> None:
    while True:
        datagrams.sendto(*datagrams.recvfrom(65536))


def ask(protocol: str, address: str, port: str, size: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family(address), kind) as asking:
        asking.settimeout(SECONDS)
        asking.connect((address, int(port)))
        asking.send(bytes(int(size)))
        left = int(size)
        while left:
            left -= len(asking.recv(65536)) or sys.exit("closed")


def hold(address: str, port: str, count: str) -> None:
    connections = [socket.create_connection((address, int(port)), SECONDS) for _ in range(int(count))]
    print("ready", flush=True)
    broken = set()
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        for one in connections:
            try:
                one.sendall(b"x")
                if one not in broken and one.recv(1) != b"x":
                    broken.add(one)
            except OSError:
                broken.add(one)
    again = 0
    for one in connections:
        info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCPI_TOTAL_RETRANS + 4)
        again += struct.unpack_from("I", info, TCPI_TOTAL_RETRANS)[0]
    print(len(connections) - len(broken), again, flush=True)


ACTIONS: dict[str, Callable[..., None]] = {"serve": serve, "ask": ask, "hold": hold}
ACTIONS[sys.argv[1]](*sys.argv[2:])
