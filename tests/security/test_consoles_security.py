"""Consoles: a token gives access to one server's display for a limited time, and nothing else does."""

import io
import logging
from pathlib import Path

import pytest
import requests
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, run_jobs
from contract.conftest import Api
from contract.console_helpers import GREETING, WANTED, Host, browse, fixtures, host, nova, refusal, socket_of
from skywright.auth import signatures
from skywright.auth.signatures import Signatures, image_data_path
from skywright.services.compute import remote_console_tokens as tokens

__all__ = ["fixtures", "host", "nova"]


@pytest.fixture
def servers(api: Api, nova: Nova, fixtures: Fixtures) -> list[str]:
    made = [nova("POST", "/servers", fixtures.body(name)).json()["server"]["id"] for name in ("one", "two")]
    run_jobs(api.cloud)
    return made


def address(api: Api, token: str) -> str:
    return f"{api.url.replace('http', 'ws', 1)}/compute/console/socket?token={token}"


def test_servers_of_others(api: Api, alt: Connection, servers: list[str]) -> None:
    other = Nova(alt, api.url)
    assert other("POST", f"/servers/{servers[0]}/remote-consoles", WANTED).status_code == 404
    body = {"os-getVNCConsole": {"type": "novnc"}}
    assert other("POST", f"/servers/{servers[0]}/action", body, version="2.1").status_code == 404


def test_readers_get_no_console(api: Api, admin: Connection, servers: list[str]) -> None:
    user = admin.identity.create_user(name="reader", password="secret-of-the-tests")
    role, project = admin.identity.find_role("reader"), admin.identity.find_project("demo")
    admin.identity.assign_project_role_to_user(project, user, role)
    with api.connect("reader", "demo") as reader:
        nova = Nova(reader, api.url)
        assert nova("GET", f"/servers/{servers[0]}").status_code == 200
        assert nova("POST", f"/servers/{servers[0]}/remote-consoles", WANTED).status_code == 403
        body = {"os-getVNCConsole": {"type": "novnc"}}
        assert nova("POST", f"/servers/{servers[0]}/action", body, version="2.1").status_code == 403


def test_forged_tokens(api: Api, nova: Nova, servers: list[str], host: Host) -> None:
    url = nova("POST", f"/servers/{servers[0]}/remote-consoles", WANTED).json()["remote_console"]["url"]
    with browse(url) as browser:
        assert browser.recv() == GREETING
    token = socket_of(url).rpartition("token=")[2]
    server, expires, signature = token.split(".")
    image = Signatures(api.cloud.settings.key_dir).sign(image_data_path(server)).rpartition("signature=")[2]
    for forged in (
        "",
        "..",
        server,
        f"{servers[1]}.{expires}.{signature}",  # of another server
        f"{server}.{int(expires) + 1}.{signature}",  # longer validity
        f"{server}.{expires}.{signature[:-1]}",
        f"{server}.{expires}.{'0' * 64}",
        f"{server}.{expires}.{image}",  # signed for another purpose
        f"{server}.x.{signature}",
        f"{server}.{expires}.%C3%A9",
        "%00",
        "x" * 5000,
    ):
        assert refusal(address(api, forged)) == 403, forged


def test_expired_tokens(api: Api, nova: Nova, servers: list[str], host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    url = nova("POST", f"/servers/{servers[0]}/remote-consoles", WANTED).json()["remote_console"]["url"]
    now = signatures.time.time()
    monkeypatch.setattr(signatures.time, "time", lambda: now + tokens.LIFETIME_SECONDS - 5)
    with browse(url) as browser:
        assert browser.recv() == GREETING
    monkeypatch.setattr(signatures.time, "time", lambda: now + tokens.LIFETIME_SECONDS + 1)
    assert refusal(socket_of(url)) == 403


def test_tokens_are_not_logged(
    api: Api, nova: Nova, servers: list[str], host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.StringIO()
    logger = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(lines)])
    logger.setLevel(logging.INFO)
    url = nova("POST", f"/servers/{servers[0]}/remote-consoles", WANTED).json()["remote_console"]["url"]
    with browse(url) as browser:
        browser.recv()
    assert refusal(address(api, "secret-token")) == 403
    signature = socket_of(url).rpartition(".")[2]
    assert "console/socket" in lines.getvalue()
    assert signature not in lines.getvalue() and "secret-token" not in lines.getvalue()


def test_only_the_files_of_novnc_are_served(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("secret")
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "link").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(api.cloud.settings, "novnc", pages)
    session = requests.Session()
    for path in ("../secret", "%2e%2e/secret", "..%2fsecret", f"/{tmp_path}/secret", "link", "%00", "x/../../secret"):
        request = requests.Request("GET", api.url).prepare()
        request.url = f"{api.url}/compute/console/{path}"
        answer = session.send(request, timeout=5)
        assert answer.status_code == 404 and answer.text != "secret", path


def test_other_websockets_are_refused(api: Api) -> None:
    base = api.url.replace("http", "ws", 1)
    for path in ("/", "/compute/v2.1/servers", "/identity/v3", "/nothing", "/compute/console/vnc_lite.html"):
        assert refusal(base + path) == 403, path
