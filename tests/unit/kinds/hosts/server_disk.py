"""A cached image, and the programs that make disks."""

import base64
import json
from pathlib import Path
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import server_disk

from kinds.fake_host import FakeHost
from kinds.hosts.image_cache import qcow2, qemu_img

IMAGE = "0a0b0c0d-0000-4000-8000-000000000003"


class Host(FakeHost):
    kind = server_disk.ServerDisk
    change = {"disk_gib": 2, "config_drive": {"meta_data": {"hostname": "other"}}}
    bad = [
        ({"image_id": "0a0b0c0e-0000-4000-8000-000000000005"}, "not in this host's cache"),
        ({"config_drive": {"user_data": "%%"}}, "base64"),
        ({"image_id": "../../etc"}, "UUID"),
        ({"image_id": None}, "UUID"),
        ({"launched": True}, "is lost"),
    ]

    def install(self) -> None:
        self.servers, self.cache = self.root / "servers", self.root / "images"
        self.set_default("directory", self.servers)
        self.set_default("image_directory", self.cache)
        self.programs |= {"qemu-img": qemu_img, "xorrisofs": xorrisofs}
        self.cache.mkdir(exist_ok=True)
        (self.cache / f"{IMAGE}.qcow2").write_bytes(qcow2(64))

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        drive = {"meta_data": {"hostname": "web"}, "user_data": base64.b64encode(b"#!/bin/sh").decode()}
        return {"id": identifier, "image_id": IMAGE, "disk_gib": 1, "config_drive": drive, **changes}

    def add_others(self) -> None:
        (self.servers / "lost+found").mkdir(parents=True)
        (self.servers / "lost+found" / "disk").touch()


def xorrisofs(argv: list[str]) -> None:
    """Keep the tree, as JSON with Base64, in place of an image of it."""
    target, tree = Path(argv[-2]), Path(argv[-1])
    assert argv[argv.index("-V") + 1] == "config-2" and {"-J", "-r"} <= set(argv)
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    content = {str(path.relative_to(tree)): base64.b64encode(path.read_bytes()).decode() for path in files}
    target.write_text(json.dumps(content))


def content_of(drive: Path) -> dict[str, bytes]:
    """What such a drive holds: {path: content}."""
    return {path: base64.b64decode(content) for path, content in json.loads(drive.read_text()).items()}
