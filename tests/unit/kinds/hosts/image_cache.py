"""A file that is an image, and the programs that look into images."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import image_cache

from kinds.fake_host import FakeHost


def qcow2(size: int) -> bytes:
    """The header of an image of so many bytes."""
    return b"QFI\xfb" + bytes(20) + struct.pack(">Q", size) + bytes(64)


class Host(FakeHost):
    kind = image_cache.ImageCache
    bad = [
        ({"checksum": "sha256:" + "0" * 64}, "checksum"),
        ({"checksum": "crc:1"}, "checksum"),
        ({"url": "file:///missing/image"}, "cannot download"),
        ({"url": "gopher://host/image"}, "must begin with"),
        ({"url": None}, "no url"),
    ]

    def install(self) -> None:
        self.source = self.root.parent / "source"
        self.source.write_bytes(qcow2(64))
        self.directory = self.root / "images"
        self.set_default("directory", self.directory)
        self.set_default("servers", self.root / "servers")
        self.information = {"format": "qcow2"}  # as qemu-img says, which prlimit keeps in bounds
        self.programs |= {"prlimit": lambda argv: json.dumps(self.information), "qemu-img": qemu_img}

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        digest = hashlib.sha256(self.source.read_bytes()).hexdigest()
        item = {"id": identifier, "url": self.source.as_uri(), "checksum": f"sha256:{digest}", "disk_format": "raw"}
        return {**item, **changes}

    def add_others(self) -> None:
        self.directory.mkdir()
        (self.directory / "notes.qcow2").touch()


def qemu_img(argv: list[str]) -> None:
    if argv[1] == "convert":
        Path(argv[-1]).write_bytes(qcow2(64))
    elif argv[1] in ("create", "resize"):
        Path(argv[-2]).write_bytes(qcow2(int(argv[-1])))
