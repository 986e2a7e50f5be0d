"""Deliveries go to the address that was checked, and verify the name of the receiver."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from skywright.jobs.webhooks import receivers
from skywright.jobs.webhooks.addresses import Network

NAME = "receiver.test"
HERE: list[Network] = [ipaddress.ip_network("127.0.0.0/8")]


class Handler(BaseHTTPRequestHandler):
    hosts: list[str] = []

    def do_POST(self) -> None:
        self.hosts.append(self.headers["Host"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A receiver with a trusted certificate for its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(private + pem)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(receivers, "_trust", lambda: ssl.create_default_context(cadata=pem.decode()))
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    Handler.hosts = []
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let each lookup of a name return the next of *answers*; return the list of requested names."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[len(asked) - 1]]

    monkeypatch.setattr(receivers.socket, "getaddrinfo", getaddrinfo)
    return asked


def send(url: str, networks: list[Network]) -> tuple[int | None, str | None]:
    with ThreadPoolExecutor(1) as resolver:
        return asyncio.run(receivers.send(url, {"a": "b"}, "{}", networks, resolver))


def test_the_certificate_is_verified_and_the_host_header_sent(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
    assert send(f"https://{NAME}:{port}/x", HERE) == (204, None)
    assert Handler.hosts == [f"{NAME}:{port}"]
    status, reason = send(f"https://another.test:{port}/x", HERE)
    assert status is None
    assert "CERTIFICATE_VERIFY_FAILED" in str(reason)


def test_a_name_is_resolved_once_and_only_permitted_addresses_are_used(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve_to(monkeypatch, ["10.0.0.1", "127.0.0.1"], ["169.254.169.254"])
    assert send(f"https://{NAME}:{port}/x", HERE) == (204, None)
    assert asked == [NAME]
    assert send(f"https://{NAME}:{port}/x", HERE) == (
        None,
        f"{NAME} is not a public address",
    )


@pytest.mark.parametrize("url", ["ftp://8.8.8.8/", "http:///x", "//x", "http://[::1", "http://8.8.8.8:99999/"])
def test_invalid_urls_are_errors(url: str) -> None:
    status, reason = send(url, HERE)
    assert status is None
    assert reason


def test_numeric_forms_of_local_addresses_are_refused() -> None:
    for host in ("2130706433", "0x7f.1", "127.1", "localhost"):
        status, reason = send(f"http://{host}:9/", [])
        assert status is None
        assert "not a public address" in str(reason) or "has no address" in str(reason), host
