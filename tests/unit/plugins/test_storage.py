"""image_cache and server_disk."""

import base64
import errno
import hashlib
import http.server
import json
import shutil
import struct
import threading
from pathlib import Path

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import image_cache as images
from ansible_collections.skywright.cloud.plugins.modules import image_cache, server_disk

from .conftest import predicted

IMAGE = "0a0b0c0d-0000-4000-8000-000000000003"
SERVER = "0a0b0c0d-0000-4000-8000-000000000004"
OTHER = "0a0b0c0e-0000-4000-8000-000000000005"
GIB = 1024**3


def qcow2(size):
    return b"QFI\xfb" + bytes(20) + struct.pack(">Q", size) + bytes(64)


@pytest.fixture
def host(tmp_path, programs):
    """A host with a web server's file, and programs that do as the real ones."""
    information = {"format": "qcow2"}

    def qemu_img(argv):
        if argv[1] == "convert":
            Path(argv[-1]).write_bytes(qcow2(64))
        elif argv[1] in ("create", "resize"):
            Path(argv[-2]).write_bytes(qcow2(int(argv[-1])))

    def xorrisofs(argv):
        """Keep the tree, as JSON with Base64, in place of an image of it."""
        target, tree = Path(argv[-2]), Path(argv[-1])
        assert argv[argv.index("-V") + 1] == "config-2" and {"-J", "-r"} <= set(argv)
        files = [path for path in tree.rglob("*") if path.is_file()]
        content = {str(path.relative_to(tree)): base64.b64encode(path.read_bytes()).decode() for path in files}
        target.write_text(json.dumps(content))

    programs["qemu-img"] = qemu_img
    programs["xorrisofs"] = xorrisofs
    programs["prlimit"] = lambda argv: json.dumps(information)
    source = tmp_path / "source"
    source.write_bytes(qcow2(64))

    class Host:
        info = information
        url = source.as_uri()
        checksum = "sha256:" + hashlib.sha256(source.read_bytes()).hexdigest()
        cache = tmp_path / "images"
        servers = tmp_path / "servers"

        def images(self, *items):
            return {"images": list(items), "directory": str(self.cache), "servers": str(self.servers)}

        def image(self, **changes):
            return {"id": IMAGE, "url": self.url, "checksum": self.checksum, **changes}

        def disks(self, *items, **options):
            paths = {"directory": str(self.servers), "image_directory": str(self.cache)}
            return {"servers": list(items), **paths, **options}

        def server(self, **changes):
            drive = {"meta_data": {"hostname": "web"}, "user_data": base64.b64encode(b"#!/bin/sh").decode()}
            return {"id": SERVER, "image_id": IMAGE, "disk_gib": 1, "config_drive": drive, **changes}

        def cached(self):
            self.cache.mkdir(exist_ok=True)
            (self.cache / f"{IMAGE}.qcow2").write_bytes(qcow2(64))

        def files(self):
            roots = (self.cache, self.servers)
            return sorted(str(path) for root in roots if root.exists() for path in root.rglob("*"))

    return Host()


def read(drive):
    """What the programs' xorrisofs kept: {path: content}."""
    return {path: base64.b64decode(content) for path, content in json.loads(drive.read_text()).items()}


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

    monkeypatch.setattr(images.time, "sleep", lambda seconds: None)
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
def test_a_download_that_may_succeed_elsewhere_is_tried_again(run_module, host, faltering, faults, works):
    url, answers = faltering
    answers += faults
    answer = run_module(image_cache.main, host.images(host.image(url=url)))
    assert answer.get("failed", False) is not works
    assert works or "cannot download" in answer["by_id"][IMAGE]["error"]
    assert (host.cache / f"{IMAGE}.qcow2").exists() is works


def test_image_is_downloaded_checked_and_left_alone_afterwards(run_module, host):
    answer = run_module(image_cache.main, host.images(host.image()))
    assert answer["by_id"][IMAGE]["action"] == "create"
    assert (host.cache / f"{IMAGE}.qcow2").read_bytes() == qcow2(64)
    assert len(list(host.cache.iterdir())) == 1
    again = run_module(image_cache.main, host.images(host.image(url="http://gone.invalid/")))
    assert not again["changed"]


def test_raw_image_is_converted(run_module, host):
    answer = run_module(image_cache.main, host.images(host.image(disk_format="raw")))
    assert answer["commands"][0][:6] == ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    assert [path.name for path in host.cache.iterdir()] == [f"{IMAGE}.qcow2"]


def test_image_check_mode(run_module, host):
    foretold = run_module(image_cache.main, host.images(host.image()), check=True)
    assert host.files() == []
    assert predicted(foretold) == predicted(run_module(image_cache.main, host.images(host.image())))


def test_image_leaves_when_no_server_uses_it(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server()))
    gone = host.images({"id": IMAGE, "state": "absent"})
    assert not run_module(image_cache.main, gone)["changed"]
    run_module(server_disk.main, host.disks({"id": SERVER, "state": "absent"}))
    assert run_module(image_cache.main, gone)["by_id"][IMAGE]["action"] == "delete"
    assert host.files() == []
    assert not run_module(image_cache.main, gone)["changed"]


@pytest.mark.parametrize("lost", ["disk", "directory"])
def test_a_lost_disk_is_not_made_anew_unless_asked(run_module, host, lost):
    host.cached()
    run_module(server_disk.main, host.disks(host.server()))
    directory = host.servers / SERVER
    shutil.rmtree(directory) if lost == "directory" else (directory / "disk").unlink()
    before = host.files()
    answer = run_module(server_disk.main, host.disks(host.server(launched=True)))
    assert (answer["by_id"][SERVER]["status"], answer["changed"]) == ("lost", False)
    assert str(directory / "disk") in answer["by_id"][SERVER]["error"]
    assert host.files() == before
    assert run_module(server_disk.main, host.disks(host.server()))["by_id"][SERVER]["changed"]
    assert not run_module(server_disk.main, host.disks(host.server(launched=True)))["changed"]


def test_a_lost_record_is_written_again(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server(launched=True, config_drive=None)))
    run_module(server_disk.main, host.disks(host.server()))
    record = host.servers / SERVER / "skywright.json"
    written = record.read_text()
    record.unlink()
    assert run_module(server_disk.main, host.disks(host.server(launched=True)))["by_id"][SERVER]["action"] == "update"
    assert record.read_text() == written


@pytest.mark.parametrize(
    ("information", "word"),
    [
        ({"backing-filename": "/etc/shadow"}, "backing file"),
        ({"format-specific": {"data": {"data-file": "/dev/sda"}}}, "data file"),
        ({"encrypted": True}, "encrypted"),
    ],
)
def test_image_that_refers_to_other_files_is_refused(run_module, host, information, word):
    host.info.update(information)
    answer = run_module(image_cache.main, host.images(host.image()))
    assert word in answer["by_id"][IMAGE]["error"]
    assert list(host.cache.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"checksum": "sha256:" + "0" * 64}, "checksum"),
        ({"checksum": "crc:1"}, "checksum"),
        ({"url": "file:///missing/image"}, "cannot download"),
        ({"url": "gopher://host/image"}, "begins with"),
        ({"url": None}, "no url"),
    ],
)
def test_bad_image_does_not_stop_the_rest(run_module, host, changes, word):
    answer = run_module(image_cache.main, host.images(host.image(**changes), host.image(id=OTHER)))
    assert answer["failed"]
    assert word in answer["by_id"][IMAGE]["error"]
    assert [path.name for path in host.cache.iterdir()] == [f"{OTHER}.qcow2"]


def test_full_disk_is_a_clear_error_and_leaves_nothing(run_module, host, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images, "open", full, raising=False)
    answer = run_module(image_cache.main, host.images(host.image()))
    assert "No space left on device" in answer["by_id"][IMAGE]["error"]
    assert list(host.cache.iterdir()) == []


def test_disk_is_an_overlay_with_a_config_drive(run_module, host):
    host.cached()
    answer = run_module(server_disk.main, host.disks(host.server()))
    assert answer["by_id"][SERVER]["action"] == "create"
    directory = host.servers / SERVER
    assert (directory / "disk").read_bytes() == qcow2(GIB)
    drive = read(directory / "disk.config")
    assert json.loads(drive["openstack/latest/meta_data.json"]) == {"hostname": "web"}
    assert drive["openstack/latest/user_data"] == b"#!/bin/sh"
    create = next(command for command in answer["commands"] if command[0] == "qemu-img")
    assert create[create.index("-b") + 1 : create.index("-b") + 4] == [
        str(host.cache / f"{IMAGE}.qcow2"),
        "-F",
        "qcow2",
    ]
    assert {path.name for path in directory.iterdir()} == {"disk", "disk.config", "skywright.json"}


def test_disk_second_run(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server()))
    answer = run_module(server_disk.main, host.disks(host.server()))
    assert not answer["changed"]
    assert answer["commands"] == []


def test_disk_check_mode(run_module, host):
    host.cached()
    before = host.files()
    foretold = run_module(server_disk.main, host.disks(host.server()), check=True)
    assert host.files() == before
    assert predicted(foretold) == predicted(run_module(server_disk.main, host.disks(host.server())))


def test_disk_absent(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server()))
    gone = host.disks({"id": SERVER, "state": "absent"})
    assert run_module(server_disk.main, gone)["by_id"][SERVER]["action"] == "delete"
    assert not (host.servers / SERVER).exists()
    assert not run_module(server_disk.main, gone)["changed"]


def test_disk_grows_and_never_shrinks(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server(disk_gib=2)))
    assert not run_module(server_disk.main, host.disks(host.server(disk_gib=1)))["changed"]
    answer = run_module(server_disk.main, host.disks(host.server(disk_gib=3)))
    assert [command[:2] for command in answer["commands"]] == [["qemu-img", "resize"]]


def test_config_drive_is_rewritten_only_when_it_differs(run_module, host):
    host.cached()
    run_module(server_disk.main, host.disks(host.server()))
    changed = host.server(config_drive={"meta_data": {"hostname": "other"}})
    answer = run_module(server_disk.main, host.disks(changed))
    assert answer["by_id"][SERVER]["action"] == "update"
    assert [command[0] for command in answer["commands"]] == ["xorrisofs"]
    assert b"other" in read(host.servers / SERVER / "disk.config")["openstack/latest/meta_data.json"]
    assert "other" not in json.dumps(answer), "the user's data shall not be in results"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"image_id": OTHER}, "not in this host's cache"),
        ({"config_drive": {"user_data": "%%"}}, "base64"),
        ({"image_id": "../../etc"}, "UUID"),
        ({"image_id": None}, "UUID"),
    ],
)
def test_bad_server_does_not_stop_the_rest(run_module, host, changes, word):
    host.cached()
    answer = run_module(server_disk.main, host.disks(host.server(**changes), host.server(id=OTHER)))
    assert word in answer["by_id"][SERVER]["error"]
    assert answer["by_id"][OTHER]["status"] == "present"


def test_disk_smaller_than_its_image_is_refused(run_module, host):
    host.cached()
    (host.cache / f"{IMAGE}.qcow2").write_bytes(qcow2(2 * GIB))
    answer = run_module(server_disk.main, host.disks(host.server()))
    assert "needs a disk of" in answer["by_id"][SERVER]["error"]
    assert run_module(server_disk.main, host.disks(host.server(disk_gib=0)))["by_id"][SERVER]["status"] == "present"
    assert (host.servers / SERVER / "disk").read_bytes() == qcow2(2 * GIB)


def test_server_whose_image_is_missing_is_not_touched(run_module, host):
    answer = run_module(server_disk.main, host.disks(host.server(), unmet={IMAGE: "the store is down"}))
    assert answer["by_id"][SERVER]["error"] == "the store is down"
    assert not (host.servers / SERVER).exists()
