"""image_cache and server_disk: what is peculiar to them."""

import errno
import http.server
import json
import shutil
import threading

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import image_cache as kind
from ansible_collections.skywright.cloud.plugins.modules import image_cache, server_disk
from kinds.hosts import image_cache as image_hosts
from kinds.hosts import server_disk as disk_hosts
from kinds.hosts.image_cache import qcow2
from kinds.hosts.server_disk import IMAGE, content_of

SERVER = "0a0b0c0d-0000-4000-8000-000000000004"
GIB = 1024**3


@pytest.fixture
def cache(tmp_path, programs, monkeypatch):
    return image_hosts.Host(tmp_path / "host", programs, monkeypatch)


@pytest.fixture
def disks(tmp_path, programs, monkeypatch):
    return disk_hosts.Host(tmp_path / "host", programs, monkeypatch)


def images(*items):
    return {"images": list(items)}


def servers(*items):
    return {"servers": list(items)}


@pytest.fixture
def faltering(monkeypatch):
    """A web server that gives what it is told to, a share of the data or an error, and all data after that."""
    content, answers = qcow2(64), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.pop() if answers else 1
            self.send_response(200 if answer <= 1 else answer)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: int(len(content) * answer)])

        def log_message(self, *_):
            pass

    monkeypatch.setattr(kind.time, "sleep", lambda seconds: None)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/image", answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("faults", "works"),
    [([0.5, 0.5], True), ([0.5] * 3, False), ([503, 0.5], True), ([403, 403], True), ([404], False)],
    ids=["two halves", "three halves", "one is away", "the clock of one is wrong", "the image is gone"],
)
def test_a_download_that_may_succeed_elsewhere_is_tried_again(run_module, cache, faltering, faults, works):
    url, answers = faltering
    answers += faults
    answer = run_module(image_cache.main, images(cache.item(IMAGE, url=url)))
    assert answer.get("failed", False) is not works
    assert works or "cannot download" in answer["by_id"][IMAGE]["error"]
    assert (cache.directory / f"{IMAGE}.qcow2").exists() is works


def test_image_is_downloaded_checked_and_left_alone_afterwards(run_module, cache):
    answer = run_module(image_cache.main, images(cache.item(IMAGE, disk_format="qcow2")))
    assert answer["by_id"][IMAGE]["action"] == "create"
    assert (cache.directory / f"{IMAGE}.qcow2").read_bytes() == qcow2(64)
    assert len(list(cache.directory.iterdir())) == 1
    again = run_module(image_cache.main, images(cache.item(IMAGE, url="http://gone.invalid/")))
    assert not again["changed"]


def test_raw_image_is_converted(run_module, cache):
    answer = run_module(image_cache.main, images(cache.item(IMAGE, disk_format="raw")))
    assert answer["commands"][0][:6] == ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    assert [path.name for path in cache.directory.iterdir()] == [f"{IMAGE}.qcow2"]


def test_image_leaves_when_no_server_uses_it(run_module, cache, disks):
    run_module(server_disk.main, servers(disks.item(SERVER)))
    gone = images({"id": IMAGE, "state": "absent"})
    assert not run_module(image_cache.main, gone)["changed"]
    run_module(server_disk.main, servers({"id": SERVER, "state": "absent"}))
    assert run_module(image_cache.main, gone)["by_id"][IMAGE]["action"] == "delete"
    assert list(cache.directory.iterdir()) == []
    assert not run_module(image_cache.main, gone)["changed"]


@pytest.mark.parametrize("lost", ["disk", "directory"])
def test_a_lost_disk_is_not_made_anew_unless_asked(run_module, disks, lost):
    run_module(server_disk.main, servers(disks.item(SERVER)))
    directory = disks.servers / SERVER
    shutil.rmtree(directory) if lost == "directory" else (directory / "disk").unlink()
    before = disks.files()
    answer = run_module(server_disk.main, servers(disks.item(SERVER, launched=True)))
    assert (answer["by_id"][SERVER]["status"], answer["changed"]) == ("lost", False)
    assert str(directory / "disk") in answer["by_id"][SERVER]["error"]
    assert disks.files() == before
    assert run_module(server_disk.main, servers(disks.item(SERVER)))["by_id"][SERVER]["changed"]
    assert not run_module(server_disk.main, servers(disks.item(SERVER, launched=True)))["changed"]


def test_a_lost_record_is_written_again(run_module, disks):
    run_module(server_disk.main, servers(disks.item(SERVER, launched=True, config_drive=None)))
    run_module(server_disk.main, servers(disks.item(SERVER)))
    record = disks.servers / SERVER / "skywright.json"
    written = record.read_text()
    record.unlink()
    assert (
        run_module(server_disk.main, servers(disks.item(SERVER, launched=True)))["by_id"][SERVER]["action"] == "update"
    )
    assert record.read_text() == written


@pytest.mark.parametrize(
    ("information", "word"),
    [
        ({"backing-filename": "/etc/shadow"}, "backing file"),
        ({"format-specific": {"data": {"data-file": "/dev/sda"}}}, "data file"),
        ({"encrypted": True}, "encrypted"),
    ],
)
def test_image_that_refers_to_other_files_is_refused(run_module, cache, information, word):
    cache.information.update(information)
    answer = run_module(image_cache.main, images(cache.item(IMAGE, disk_format="qcow2")))
    assert word in answer["by_id"][IMAGE]["error"]
    assert list(cache.directory.iterdir()) == []


def test_full_disk_is_a_clear_error_and_leaves_nothing(run_module, cache, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kind, "open", full, raising=False)
    answer = run_module(image_cache.main, images(cache.item(IMAGE, disk_format="qcow2")))
    assert "No space left on device" in answer["by_id"][IMAGE]["error"]
    assert list(cache.directory.iterdir()) == []


def test_disk_is_an_overlay_with_a_config_drive(run_module, disks):
    answer = run_module(server_disk.main, servers(disks.item(SERVER)))
    assert answer["by_id"][SERVER]["action"] == "create"
    directory = disks.servers / SERVER
    assert (directory / "disk").read_bytes() == qcow2(GIB)
    drive = content_of(directory / "disk.config")
    assert json.loads(drive["openstack/latest/meta_data.json"]) == {"hostname": "web"}
    assert drive["openstack/latest/user_data"] == b"#!/bin/sh"
    create = next(command for command in answer["commands"] if command[0] == "qemu-img")
    assert create[create.index("-b") + 1 : create.index("-b") + 4] == [
        str(disks.cache / f"{IMAGE}.qcow2"),
        "-F",
        "qcow2",
    ]
    assert {path.name for path in directory.iterdir()} == {"disk", "disk.config", "skywright.json"}


def test_disk_grows_and_never_shrinks(run_module, disks):
    run_module(server_disk.main, servers(disks.item(SERVER, disk_gib=2)))
    assert not run_module(server_disk.main, servers(disks.item(SERVER, disk_gib=1)))["changed"]
    answer = run_module(server_disk.main, servers(disks.item(SERVER, disk_gib=3)))
    assert [command[:2] for command in answer["commands"]] == [["qemu-img", "resize"]]


def test_config_drive_is_rewritten_only_when_it_differs(run_module, disks):
    run_module(server_disk.main, servers(disks.item(SERVER)))
    changed = disks.item(SERVER, config_drive={"meta_data": {"hostname": "other"}})
    answer = run_module(server_disk.main, servers(changed))
    assert answer["by_id"][SERVER]["action"] == "update"
    assert [command[0] for command in answer["commands"]] == ["xorrisofs"]
    assert b"other" in content_of(disks.servers / SERVER / "disk.config")["openstack/latest/meta_data.json"]
    assert "other" not in json.dumps(answer), "the user's data shall not be in results"


def test_without_force_only_a_missing_config_drive_is_written(run_module, disks):
    drive = disks.servers / SERVER / "disk.config"
    run_module(server_disk.main, servers(disks.item(SERVER)))
    written = drive.read_bytes()
    other = disks.item(SERVER, config_drive={"meta_data": {"hostname": "other"}, "force": False})
    assert not run_module(server_disk.main, servers(other))["changed"]
    assert run_module(server_disk.main, servers(other | {"disk_gib": 2}))["changed"]
    assert drive.read_bytes() == written
    assert not run_module(server_disk.main, servers(disks.item(SERVER)))["changed"], "its record is kept, too"
    drive.unlink()
    assert run_module(server_disk.main, servers(other))["by_id"][SERVER]["action"] == "update"
    assert b"other" in content_of(drive)["openstack/latest/meta_data.json"]
    assert not run_module(server_disk.main, servers(other))["changed"]


def test_disk_smaller_than_its_image_is_refused(run_module, disks):
    (disks.cache / f"{IMAGE}.qcow2").write_bytes(qcow2(2 * GIB))
    answer = run_module(server_disk.main, servers(disks.item(SERVER)))
    assert "needs a disk of" in answer["by_id"][SERVER]["error"]
    assert run_module(server_disk.main, servers(disks.item(SERVER, disk_gib=0)))["by_id"][SERVER]["status"] == "present"
    assert (disks.servers / SERVER / "disk").read_bytes() == qcow2(2 * GIB)
