"""Image data on three controllers: API processes with a shared database and keys, each with its own store."""

import asyncio
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import Api, run_api
from skywright.auth.signatures import Signatures
from skywright.services.image import replica_routes
from skywright.services.image.replica_routes import UNWANTED_SECONDS, look
from skywright.services.image.replicas import replica_path
from skywright.settings import Settings

OCTETS = {"Content-Type": "application/octet-stream"}
DATA = os.urandom(2_500_000)
DIGEST = hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Api]]:
    monkeypatch.setattr(replica_routes, "LOOK_SECONDS", 3600.0)  # tests synchronize explicitly
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    urls = [f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    with ExitStack() as stack:
        apis: list[Api] = []
        for number, (listener, url) in enumerate(zip(listeners, urls, strict=True)):
            state = tmp_path / str(number)
            if apis:
                shutil.copytree(apis[0].cloud.settings.key_dir, state / "keys")
            peers = ",".join(other for other in urls if other != url)
            database = f"sqlite:///{tmp_path / 'shared.db'}"
            settings = Settings(state_dir=state, public_url=url, database=database, peers=peers)
            apis.append(stack.enter_context(contextmanager(run_api)(settings, listener)))
            Signatures(settings.key_dir)
            assert apis[-1].cloud.tokens
        yield apis


def connect(api: Api) -> Connection:
    """A connection that uses the image service of this controller."""
    return api.connect("demo", "demo", image_endpoint_override=f"{api.url}/image/v2")


def upload(api: Api, data: bytes = DATA, way: str = "file") -> tuple[str, requests.Response]:
    with connect(api) as demo:
        body = {"name": "data", "disk_format": "raw", "container_format": "bare"}
        image_id = demo.image.post("/images", json=body).json()["id"]
        return image_id, demo.image.put(f"/images/{image_id}/{way}", data=data, headers=OCTETS)


def download(api: Api, image_id: str, **headers: str) -> Any:
    with connect(api) as demo:
        return demo.image.get(f"/images/{image_id}/file", headers=headers)


def stored(api: Api) -> list[str]:
    directory = api.cloud.settings.image_dir
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unplug(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the controller unreachable."""

    async def gone(scope: Any, receive: Any, send: Any, request_id: str) -> None:
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(api.app, "_http", gone)


def test_an_upload_is_on_all_controllers_and_each_serves_it(controllers: list[Api]) -> None:
    image_id, answer = upload(controllers[0])
    assert answer.status_code == 204
    wait_for(lambda: all(stored(api) == [f"{image_id}.{DIGEST[:32]}"] for api in controllers))
    assert all(download(api, image_id).content == DATA for api in controllers)


def test_staged_data_can_be_imported_by_another_controller(controllers: list[Api]) -> None:
    image_id, answer = upload(controllers[0], way="stage")
    assert answer.status_code == 204
    with connect(controllers[1]) as demo:
        body = {"method": {"name": "glance-direct"}}
        assert demo.image.post(f"/images/{image_id}/import", json=body).status_code == 202
    assert download(controllers[2], image_id).content == DATA


def test_an_upload_succeeds_without_one_controller(controllers: list[Api], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as outage:
        unplug(controllers[2], outage)
        image_id, answer = upload(controllers[0])
        assert answer.status_code == 204
        assert stored(controllers[1]) == [f"{image_id}.{DIGEST[:32]}"]
    assert stored(controllers[2]) == []
    # It is back: it forwards its peers' data, and has its own copy after the next synchronization.
    whole, part = download(controllers[2], image_id), download(controllers[2], image_id, Range="bytes=10-19")
    assert (whole.content, whole.headers["Content-MD5"]) == (DATA, hashlib.md5(DATA).hexdigest())
    assert (part.status_code, part.content) == (206, DATA[10:20])
    asyncio.run(look(controllers[2].cloud))
    assert stored(controllers[2]) == [f"{image_id}.{DIGEST[:32]}"]


def test_an_upload_fails_without_a_majority(controllers: list[Api], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as outage:
        unplug(controllers[1], outage)
        unplug(controllers[2], outage)
        image_id, answer = upload(controllers[0])
    # Clients repeat a request after 503, although their file has been read to its end.
    assert answer.status_code == 500
    assert "Too few controllers" in answer.json()["message"]
    with connect(controllers[1]) as demo:
        assert demo.image.get(f"/images/{image_id}").json()["status"] == "queued"
        assert demo.image.put(f"/images/{image_id}/file", data=DATA, headers=OCTETS).status_code == 204
    assert download(controllers[0], image_id).content == DATA


def test_corrupt_data_of_a_peer_is_not_stored(controllers: list[Api]) -> None:
    image_id, _ = upload(controllers[0])
    name = f"{image_id}.{DIGEST[:32]}"
    wait_for(lambda: all(stored(api) == [name] for api in controllers))
    for api in controllers[1:]:
        (api.cloud.settings.image_dir / name).write_bytes(b"something else")
    (controllers[0].cloud.settings.image_dir / name).unlink()
    asyncio.run(look(controllers[0].cloud))
    assert stored(controllers[0]) == []


def test_synchronization_removes_data_without_an_image(controllers: list[Api]) -> None:
    (image_id, _), (deleted, _) = upload(controllers[0]), upload(controllers[0])
    wait_for(lambda: len(stored(controllers[1])) == 2)
    with connect(controllers[0]) as demo:
        demo.image.delete(f"/images/{deleted}")
    directory = controllers[1].cloud.settings.image_dir
    young, old = directory / f"{image_id}.{'0' * 32}", directory / f"{image_id}.{'1' * 32}"
    for path in (young, old):
        path.write_bytes(b"of an upload that failed")
    before = time.time() - UNWANTED_SECONDS - 60
    os.utime(old, (before, before))
    os.utime(directory / f"{image_id}.{DIGEST[:32]}", (before, before))
    asyncio.run(look(controllers[1].cloud))
    assert stored(controllers[1]) == sorted([f"{image_id}.{DIGEST[:32]}", young.name])


def test_only_controllers_exchange_data(controllers: list[Api]) -> None:
    image_id, _ = upload(controllers[0])
    path, key_dir = replica_path(image_id, DIGEST), controllers[0].cloud.settings.key_dir
    url = controllers[1].url
    wait_for(lambda: stored(controllers[1]))  # the upload ended when a majority had the data
    assert requests.get(url + path).status_code == 403
    assert requests.put(url + Signatures(key_dir).sign(path), data=DATA).status_code == 403  # signed for reading
    assert requests.get(url + Signatures(key_dir).sign(path, lifetime=-1)).status_code == 403
    assert requests.get(url + Signatures(key_dir).sign(path)).content == DATA
    wrong = requests.put(url + Signatures(key_dir).sign(path, method="PUT"), data=b"other data")
    assert wrong.status_code == 400
    assert stored(controllers[1]) == [f"{image_id}.{DIGEST[:32]}"]
