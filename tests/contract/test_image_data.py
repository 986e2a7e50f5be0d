"""Data of images: uploads, downloads, imports, signed URLs."""

import errno
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from skywright.auth import signatures
from skywright.services.image.kinds.image import image_item
from skywright.services.image.tables import Image

OCTETS = {"Content-Type": "application/octet-stream"}


def queued(connection: Connection, disk_format: str = "raw") -> str:
    body = {"name": "data", "disk_format": disk_format, "container_format": "bare"}
    return str(connection.image.post("/images", json=body).json()["id"])


def upload(connection: Connection, image_id: str, data: Any) -> requests.Response:
    return connection.image.put(f"/images/{image_id}/file", data=data, headers=OCTETS)


def show(connection: Connection, image_id: str) -> dict[str, Any]:
    return connection.image.get(f"/images/{image_id}").json()


def stored(api: Any) -> set[str]:
    directory = api.cloud.settings.image_dir
    return {path.name.partition(".")[0] for path in directory.iterdir()} if directory.exists() else set()


def qcow2(path: Path, *options: str) -> bytes:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "64M"], check=True)
    return path.read_bytes()


def test_uploaded_data_can_be_downloaded(api: Any, demo: Connection) -> None:
    image_id, data = queued(demo), os.urandom(3_000_001)
    assert demo.image.get(f"/images/{image_id}/file").status_code == 204
    assert upload(demo, image_id, data).status_code == 204
    image = show(demo, image_id)
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(data), len(data))
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    answer = demo.image.get(f"/images/{image_id}/file")
    assert answer.content == data
    assert answer.headers["Content-MD5"] == image["checksum"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    part = demo.image.get(f"/images/{image_id}/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    beyond = demo.image.get(f"/images/{image_id}/file", headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    assert upload(demo, image_id, b"again").status_code == 409
    assert demo.image.delete(f"/images/{image_id}").status_code == 204
    assert image_id not in stored(api)


def test_chunked_uploads(demo: Connection) -> None:
    image_id = queued(demo)
    assert upload(demo, image_id, iter([b"a" * 70_000, b"b" * 1_200_000, b"c"])).status_code == 204
    assert show(demo, image_id)["size"] == 1_270_001


@pytest.mark.parametrize("path", ["file", "stage"])
def test_data_must_have_the_announced_size(api: Any, demo: Connection, path: str) -> None:
    image_id = queued(demo)
    for size in ("9", "11", "0", "ten", "-1", ""):
        headers = {**OCTETS, "x-openstack-image-size": size}
        refused = demo.image.put(f"/images/{image_id}/{path}", data=b"0123456789", headers=headers)
        assert refused.status_code == 400 and "x-openstack-image-size" in refused.text
        assert show(demo, image_id)["status"] == "queued" and image_id not in stored(api)
    headers = {**OCTETS, "x-openstack-image-size": "10"}
    assert demo.image.put(f"/images/{image_id}/{path}", data=b"0123456789", headers=headers).status_code == 204


def test_uploads_need_formats_and_a_media_type(demo: Connection) -> None:
    bare = demo.image.post("/images", json={"name": "no formats"}).json()["id"]
    assert upload(demo, bare, b"x").status_code == 400
    answer = demo.image.put(f"/images/{queued(demo)}/file", data=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_formats_cannot_be_changed_after_the_upload(demo: Connection) -> None:
    image_id = queued(demo)
    upload(demo, image_id, b"x")
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    change = [{"op": "replace", "path": "/disk_format", "value": "qcow2"}]
    answer = demo.image.request(f"/images/{image_id}", "PATCH", json=change, headers=headers)
    assert answer.status_code == 403


def test_the_virtual_size_is_read_from_qcow2(demo: Connection, tmp_path: Path) -> None:
    image_id = queued(demo, "qcow2")
    assert upload(demo, image_id, qcow2(tmp_path / "disk")).status_code == 204
    assert show(demo, image_id)["virtual_size"] == 64 << 20


@pytest.mark.parametrize("case", ["backing file", "data file", "raw that is qcow2", "qcow2 that is raw", "cut off"])
def test_dangerous_images_are_refused(api: Any, demo: Connection, tmp_path: Path, case: str) -> None:
    before = stored(api)
    declared = "raw" if case == "raw that is qcow2" else "qcow2"
    if case == "backing file":
        qcow2(tmp_path / "base")
        data = qcow2(tmp_path / "disk", "-b", str(tmp_path / "base"), "-F", "qcow2")
    elif case == "data file":
        data = qcow2(tmp_path / "disk", "-o", f"data_file={tmp_path / 'outside'}")
    elif case == "qcow2 that is raw":
        data = b"\0" * 100_000
    else:
        data = qcow2(tmp_path / "disk")[: 50 if case == "cut off" else None]
    image_id = queued(demo, declared)
    answer = upload(demo, image_id, data)
    assert answer.status_code == 415, answer.text
    assert answer.json()["message"]
    assert show(demo, image_id)["status"] == "queued"
    assert stored(api) == before


def test_the_size_limit(api: Any, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.cloud.settings, "max_image_bytes", 1000)
    before, image_id = stored(api), queued(demo)
    assert upload(demo, image_id, b"x" * 1001).status_code == 413
    assert upload(demo, image_id, iter([b"x" * 500, b"y" * 501])).status_code == 413
    assert (show(demo, image_id)["status"], stored(api)) == ("queued", before)
    assert upload(demo, image_id, b"x" * 1000).status_code == 204


def test_a_full_disk(api: Any, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    before, image_id = stored(api), queued(demo)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        answer = upload(demo, image_id, b"x" * 100_000)
    assert answer.status_code == 413
    assert "full" in answer.json()["message"]
    assert (show(demo, image_id)["status"], stored(api)) == ("queued", before)
    assert upload(demo, image_id, b"x").status_code == 204


class Slow:
    """A client whose upload the test controls."""

    def __init__(self, api: Any, token: str, image_id: str) -> None:
        host, port = api.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)))
        head = (
            f"PUT /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: {host}\r\nX-Auth-Token: {token}\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 2000000\r\n\r\n"
        )
        self.socket.sendall(head.encode() + b"x" * 1_500_000)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_aborted_upload_leaves_no_data(api: Any, demo: Connection) -> None:
    before, image_id = stored(api), queued(demo)
    client = Slow(api, demo.auth_token, image_id)
    wait_for(lambda: show(demo, image_id)["status"] == "saving")
    assert upload(demo, image_id, b"other").status_code == 409
    client.socket.close()
    wait_for(lambda: show(demo, image_id)["status"] == "queued")
    wait_for(lambda: stored(api) == before)
    assert upload(demo, image_id, b"x").status_code == 204


def test_an_image_deleted_while_it_is_uploaded(api: Any, demo: Connection) -> None:
    before, image_id = stored(api), queued(demo)
    client = Slow(api, demo.auth_token, image_id)
    wait_for(lambda: show(demo, image_id)["status"] == "saving")
    assert demo.image.delete(f"/images/{image_id}").status_code == 204
    client.socket.sendall(b"x" * 500_000)
    assert b" 410 " in client.socket.recv(100)
    client.socket.close()
    wait_for(lambda: stored(api) == before)


def test_an_upload_whose_process_died_can_be_repeated(api: Any, demo: Connection) -> None:
    image_id = queued(demo)
    with api.cloud.database.write() as session:
        session.get_one(Image, image_id).status = "saving"
    (api.cloud.settings.image_dir / f"{image_id}.part").write_bytes(b"the beginning")
    assert upload(demo, image_id, b"all").status_code == 204
    assert demo.image.get(f"/images/{image_id}/file").content == b"all"


def test_deleting_an_image_removes_all_data(api: Any, demo: Connection) -> None:
    before, image_id = stored(api), queued(demo)
    demo.image.put(f"/images/{image_id}/stage", data=b"staged", headers=OCTETS)
    (api.cloud.settings.image_dir / f"{image_id}.part").write_bytes(b"the beginning")
    assert demo.image.delete(f"/images/{image_id}").status_code == 204
    assert stored(api) == before


def test_one_of_several_concurrent_uploads_succeeds(demo: Connection) -> None:
    image_id, statuses = queued(demo), []
    data = os.urandom(2_000_000)
    threads = [
        threading.Thread(target=lambda: statuses.append(upload(demo, image_id, data).status_code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204, 409, 409, 409]
    assert demo.image.get(f"/images/{image_id}/file").content == data


def test_deactivated_images_cannot_be_downloaded(demo: Connection, admin: Connection) -> None:
    image_id = queued(demo)
    assert demo.image.post(f"/images/{image_id}/actions/deactivate").status_code == 403
    upload(demo, image_id, b"x")
    assert demo.image.post(f"/images/{image_id}/actions/deactivate").status_code == 204
    assert show(demo, image_id)["status"] == "deactivated"
    assert demo.image.get(f"/images/{image_id}/file").status_code == 403
    assert admin.image.get(f"/images/{image_id}/file").content == b"x"
    assert demo.image.post(f"/images/{image_id}/actions/reactivate").status_code == 204
    assert demo.image.get(f"/images/{image_id}/file").content == b"x"


def test_import_of_staged_data(demo: Connection) -> None:
    assert demo.image.get("/info/import").json()["import-methods"]["value"] == ["glance-direct"]
    image_id, method = queued(demo), {"method": {"name": "glance-direct"}}
    assert demo.image.post(f"/images/{image_id}/import", json=method).status_code == 409
    assert demo.image.put(f"/images/{image_id}/stage", data=b"staged", headers=OCTETS).status_code == 204
    assert show(demo, image_id)["status"] == "uploading"
    assert demo.image.put(f"/images/{image_id}/stage", data=b"again", headers=OCTETS).status_code == 409
    assert demo.image.post(f"/images/{image_id}/import", json={"method": {"name": "web"}}).status_code == 400
    answer = demo.image.post(f"/images/{image_id}/import", json=method)
    assert answer.status_code == 202
    assert (show(demo, image_id)["status"], show(demo, image_id)["size"]) == ("active", 6)
    (task,) = demo.image.get(f"/images/{image_id}/tasks").json()["tasks"]
    assert (task["status"], task["request_id"]) == ("success", answer.headers["X-Openstack-Request-Id"])
    assert demo.image.get(f"/images/{image_id}/file").content == b"staged"


def test_hosts_download_by_signed_url(api: Any, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = queued(demo)
    with api.cloud.database.write() as session:
        assert image_item(session, image_id, api.cloud) is None
    upload(demo, image_id, b"x" * 1000)
    with api.cloud.database.write() as session:
        item = image_item(session, image_id, api.cloud)
        assert item is not None
        monkeypatch.setattr(signatures, "LIFETIME_SECONDS", 0)
    assert item["checksum"] == f"sha512:{hashlib.sha512(b'x' * 1000).hexdigest()}"
    assert (item["disk_format"], item["state"]) == ("raw", "present")
    assert requests.get(item["url"], timeout=5).content == b"x" * 1000
    other = queued(demo)
    upload(demo, other, b"secret")
    for url in (
        item["url"][:-1] + ("0" if item["url"][-1] != "0" else "1"),
        item["url"].replace(image_id, other),
        item["url"].replace("expires=", "expires=9"),
        item["url"].split("&")[0] + "&signature=",
        item["url"].split("&")[0] + "&signature=ü",
    ):
        assert requests.get(url, timeout=5).status_code == 403, url
    assert requests.get(item["url"].split("?")[0], timeout=5).status_code == 401
    demo.image.post(f"/images/{image_id}/actions/deactivate")
    assert requests.get(item["url"], timeout=5).status_code == 404


def test_signatures_expire(api: Any) -> None:
    key = signatures.Signatures(api.cloud.settings.key_dir)
    path = signatures.image_data_path("x")
    query = dict(part.split("=") for part in key.sign(path, lifetime=-1).split("?")[1].split("&"))
    assert not key.valid(path, query["expires"], query["signature"])


def test_openstackclient(api: Any, demo: Connection, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "OS_AUTH_URL": f"{api.url}/identity",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": demo.config.config["auth"]["password"],
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
    }

    def client(*words: str) -> None:
        command = [str(Path(sys.executable).with_name("openstack")), "image", *words]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    qcow2(tmp_path / "disk")
    client("create", "--disk-format", "qcow2", "--file", str(tmp_path / "disk"), "--property", "a=b", "by hand")
    image = demo.image.find_image("by hand")
    assert (image.status, image.properties["a"]) == ("active", "b")
    client("set", "--property", "c=d", "--tag", "t", "by hand")
    assert show(demo, image.id)["c"] == "d"
    client("save", "--file", str(tmp_path / "back"), "by hand")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "disk").read_bytes()
    client("delete", "by hand")
    assert demo.image.get(f"/images/{image.id}").status_code == 404


def test_an_upload_to_a_store_that_does_not_exist(demo: Connection) -> None:
    image_id = queued(demo)
    answer = demo.image.put(f"/images/{image_id}/file", data=b"x", headers=OCTETS | {"X-Image-Meta-Store": "fast"})
    assert (answer.status_code, answer.json()["message"]) == (400, "Store 'fast' does not exist; known: file.")
    assert show(demo, image_id)["status"] == "queued"
    answer = demo.image.put(f"/images/{image_id}/file", data=b"x", headers=OCTETS | {"X-Image-Meta-Store": "file"})
    assert (answer.status_code, show(demo, image_id)["stores"]) == (204, "file")


@pytest.mark.parametrize(
    ("more", "store", "status"),
    [
        ({"stores": ["fast"]}, None, 409),
        ({}, "fast", 409),
        ({"stores": ["file"]}, "file", 400),
        ({"all_stores": True, "stores": ["file"]}, None, 400),
        ({"all_stores": True}, "file", 400),
        ({"all_stores": "yes"}, None, 400),
        ({"all_stores_must_succeed": 1}, None, 400),
        ({"all_stores": True, "all_stores_must_succeed": False}, None, 202),
        ({"stores": ["file"]}, None, 202),
        ({}, "file", 202),
    ],
)
def test_stores_of_an_import(demo: Connection, more: dict[str, Any], store: str | None, status: int) -> None:
    image_id = queued(demo)
    assert demo.image.put(f"/images/{image_id}/stage", data=b"staged", headers=OCTETS).status_code == 204
    body, headers = {"method": {"name": "glance-direct"}, **more}, {"X-Image-Meta-Store": store} if store else {}
    assert demo.image.post(f"/images/{image_id}/import", json=body, headers=headers).status_code == status
