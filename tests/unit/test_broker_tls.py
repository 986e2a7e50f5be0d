"""Broker URLs: TLS that verifies the node's certificate, and attempts with all nodes."""

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kombu.connection import Connection

from skywright.queue.broker import connect, unopened_connection


def certificate(directory: Path, address: str) -> Path:
    """Write a self-signed certificate and its key to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a node")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / f"{address}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


@dataclass
class Node:
    """A TLS server that stores the first bytes of each client that accepts its certificate."""

    port: int
    heard: list[bytes]


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, "127.0.0.1")


@pytest.fixture
def node(pem: Path) -> Iterator[Node]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
                    heard.append(client.recv(8))

        thread = threading.Thread(target=serve)
        thread.start()
        yield Node(listener.getsockname()[1], heard)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_node_with_a_valid_certificate_is_accepted(node: Node, pem: Path) -> None:
    with pytest.raises(OSError, match=r"closed|expected|reset"):  # it is no broker and closes the connection
        connect(f"amqps://user:secret@127.0.0.1:{node.port}/vhost?ssl_ca={pem}")
    assert node.heard == [b"AMQP\x00\x00\x09\x01"]


def test_a_node_with_another_certificate_is_refused(node: Node, tmp_path: Path) -> None:
    other = certificate(tmp_path, "127.0.0.2")
    for parameters in (f"?ssl_ca={other}", ""):
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(f"amqps://user:secret@127.0.0.1:{node.port}/vhost{parameters}")
    assert node.heard == []


def test_a_node_with_the_certificate_of_another_is_refused(node: Node, pem: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        connect(f"amqps://user:secret@localhost:{node.port}/vhost?ssl_ca={pem}")
    assert node.heard == []


def test_other_parameters_are_kept(pem: Path) -> None:
    connection = unopened_connection(f"amqps://us%2Fer:sec%40ret@10.0.0.1/vhost?ssl_ca={pem}&login_method=AMQPLAIN")
    assert (connection.userid, connection.password, connection.virtual_host) == ("us/er", "sec@ret", "vhost")
    assert (connection.hostname, connection.port, connection.login_method) == ("10.0.0.1", None, "AMQPLAIN")


def test_without_tls_there_are_no_tls_options() -> None:
    assert not unopened_connection("amqp://user:secret@10.0.0.1//").ssl


@pytest.mark.parametrize("alive", ["one", "two", "three"])
def test_all_nodes_are_tried(alive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def establish(self: Connection, **_options: object) -> Connection:
        if self.hostname != alive:
            raise ConnectionRefusedError
        return self

    monkeypatch.setattr(Connection, "ensure_connection", establish)
    urls = ";".join(f"amqp://user:secret@{name}//" for name in ("one", "two", "three"))
    assert connect(urls).hostname == alive
    with pytest.raises(ConnectionRefusedError):
        connect("amqp://user:secret@four//;amqp://user:secret@five//")
