# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers' directories with their disks and config drives."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import (
    ids_in,
    read_text,
    remove,
    virtual_size,
    write_file,
    write_text,
)
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.spec import dict_of, list_of, option, state

SERVERS = list_of(
    "The servers to converge.",
    id=option("UUID of the server and of its domain.", required=True),
    state=state("Whether the server exists; V(absent) destroys it even if it runs."),
    name=option("The user's name of the server, which is only in the domain's metadata.", default=""),
    power=option("The power state.", choices=["running", "shutoff"], default="running"),
    starts_first=option(
        "Whether the server does not wait for the others, whose new guests start together after the last of them.",
        "bool",
        default=False,
    ),
    boot_id=option("A running server that booted with another boot_id is rebooted."),
    reboot=option(
        "How to reboot; V(soft) asks the guest to shut down first.", choices=["soft", "hard"], default="hard"
    ),
    vcpus=option("Number of virtual processors.", "int", default=1),
    memory_mib=option("Memory in MiB.", "int", default=128),
    image_id=option("UUID of the image that the disk is based on, used only when the disk is missing."),
    launched=option(
        "Whether the server ran before. Then a missing disk is an error; otherwise it is created.",
        "bool",
        default=False,
    ),
    disk_gib=option("Size of the disk in GiB. A disk only grows. V(0) is the size of the image.", "int", default=0),
    ports=list_of(
        "Network interfaces, in order. Each uses the tap whose name is C(tap) and 11 characters of the id.",
        id=option("UUID of the port.", required=True),
        mac=option("MAC address."),
        mtu=option("MTU of the port's network.", "int", default=1450),
    ),
    config_drive=dict_of(
        "Content of the config drive, in OpenStack's layout. Without it, the server has no config drive.",
        meta_data=option("Content of C(meta_data.json).", "dict", default={}),
        network_data=option("Content of C(network_data.json).", "dict", default={}),
        user_data=option("Content of C(user_data) in base64."),
        force=option("Whether an existing config drive with other content is replaced.", "bool", default=True),
    ),
)
GIB = 1024**3
LOST = "lost"
LABEL = "config-2"


def config_files(config_drive):
    """Return the config drive's files as {path: bytes}; the same content gives the same bytes."""
    files = {
        "openstack/latest/meta_data.json": _json(config_drive["meta_data"]),
        "openstack/latest/network_data.json": _json(config_drive["network_data"]),
    }
    if config_drive["user_data"] is not None:
        try:
            user_data = base64.b64decode(config_drive["user_data"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ItemError("user_data is not base64") from error
        files["openstack/latest/user_data"] = user_data
    return files


def _json(content):
    return json.dumps(content, sort_keys=True).encode()


def digest(files):
    """Return a digest of the config drive's files."""
    total = hashlib.sha256()
    for path, content in sorted(files.items()):
        total.update(f"{path} {len(content)}\n".encode() + content)
    return total.hexdigest()


class ServerDisk(Kind):
    """The servers' directories; C(skywright.json) in each records the image and the digest of the config drive."""

    name, items, label = "server_disk", "servers", "server"
    item = SERVERS
    after = ("image_cache",)
    options = {
        "directory": option("The directory of the servers' directories.", "path", default="/var/lib/skywright/servers"),
        "image_directory": option("The host's image cache.", "path", default="/var/lib/skywright/images"),
    }

    def __init__(self, **options):
        super().__init__(**options)
        self.directory = self.settings["directory"]
        self.image_directory = self.settings["image_directory"]

    def concerns(self, item):
        """Return whether the server is present; libvirt_domain removes the directories of absent servers."""
        return item["state"] == "present"

    def needs(self, item):
        """A server's disk is based on its image."""
        return [item["id"], *([item["image_id"]] if item["image_id"] else [])]

    def apply(self, steps, done):
        """Write several directories at a time."""
        return each({"create": self.write, "update": self.write, "delete": self.delete}, threads=4)(steps, done)

    def path(self, server_id, *names):
        """Return the path of a file in a server's directory."""
        return os.path.join(self.directory, server_id, *names)

    def read(self, servers):
        """Read the directories of the listed servers."""
        return {item["id"]: self._read(item["id"]) for item in servers if os.path.isdir(self.path(item["id"]))}

    def _read(self, server_id):
        record = json.loads(read_text(self.path(server_id, "skywright.json")) or "{}")
        drive = record.get("config_drive") if os.path.exists(self.path(server_id, "disk.config")) else None
        size = virtual_size(self.path(server_id, "disk"))
        return {"disk_bytes": size, "config_drive": drive, "image_id": record.get("image_id")}

    def marks(self):
        """List the servers' directories."""
        found = {server_id: self._read(server_id) for server_id in ids_in(self.directory)}
        return [
            {"id": server_id, "disk": os.path.exists(self.path(server_id, "disk")), "image_id": have["image_id"]}
            for server_id, have in found.items()
        ]

    def want(self, item, have):
        """Return the wanted disk size and config drive."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        drive = item["config_drive"] and digest(config_files(item["config_drive"]))
        if drive and have and not item["config_drive"]["force"]:
            drive = have["config_drive"] or drive
        there = (have or {}).get("disk_bytes")
        if item["launched"] and not there:
            raise ItemError(f"its disk {self.path(item['id'], 'disk')} is lost, with all that was stored on it", LOST)
        image_id = (there and have["image_id"]) or check.uuid(item["image_id"] or "")
        size = max(item["disk_gib"] * GIB, there or self._least(item) or 0)
        return {"disk_bytes": size, "config_drive": drive, "image_id": image_id}

    def _least(self, item):
        """Return the virtual size of the image in bytes, or None if the image is not in the cache yet."""
        size = virtual_size(self._base(item["image_id"]))
        if size and 0 < item["disk_gib"] * GIB < size:
            raise ItemError(f"the image needs a disk of {size} bytes, more than {item['disk_gib']} GiB")
        return size

    def _base(self, image_id):
        return os.path.join(self.image_directory, image_id + ".qcow2")

    def write(self, step):
        """Create or grow the disk, and write the config drive."""
        os.makedirs(self.path(step.id), mode=0o755, exist_ok=True)
        parts = {"disk_bytes": self._write_disk, "config_drive": self._write_config_drive}
        with ThreadPoolExecutor(len(parts)) as pool:
            written = [pool.submit(write, step) for key, write in parts.items() if step.changes(key)]
        for part in written:
            part.result()
        record = {"image_id": step.want["image_id"], "config_drive": step.want["config_drive"]}
        write_text(self.path(step.id, "skywright.json"), json.dumps(record))

    def _write_disk(self, step):
        disk, size = self.path(step.id, "disk"), step.want["disk_bytes"]
        if (step.have or {}).get("disk_bytes"):
            self.runner.write(["qemu-img", "resize", "-q", "-f", "qcow2", disk, str(size)])
            return
        base, least = self._base(step.want["image_id"]), self._least(step.item)
        if least is None:
            raise ItemError(f"image {step.want['image_id']} is not in this host's cache")
        # The record comes first: it keeps the image in the cache while the disk is created.
        write_text(self.path(step.id, "skywright.json"), json.dumps({"image_id": step.want["image_id"]}))
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk + ".new"]
        self.runner.write([*argv, str(max(size, least))])
        os.chmod(disk + ".new", 0o600)
        os.replace(disk + ".new", disk)

    def _write_config_drive(self, step):
        drive, tree = self.path(step.id, "disk.config"), self.path(step.id, ".config")
        if step.want["config_drive"] is None:
            remove(drive)
            return
        remove(tree)  # of an interrupted run
        for path, content in config_files(step.item["config_drive"]).items():
            os.makedirs(os.path.join(tree, os.path.dirname(path)), mode=0o700, exist_ok=True)
            write_file(os.path.join(tree, path), content, mode=0o600)
        # With Joliet and Rock Ridge names, as guests of all systems expect them.
        self.runner.write(["xorrisofs", "-quiet", "-V", LABEL, "-J", "-r", "-o", drive + ".new", tree])
        os.chmod(drive + ".new", 0o600)
        os.replace(drive + ".new", drive)
        remove(tree)

    def delete(self, step):
        """Remove the directory with its content."""
        remove(self.path(step.id))
