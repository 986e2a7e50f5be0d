#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: server_disk
short_description: Servers' directories with their disks and config drives
description:
  - A server's disk is a qcow2 overlay on an image of the host's cache. It only ever grows. The disk of a server that
    ran before is never made anew, since what its user stored on it would be gone for good.
  - Base images that are missing are brought into the host's cache first, as M(skywright.cloud.image_cache) does.
  - The config drive is an ISO image with the label C(config-2) in OpenStack's layout. It is rewritten only when its
    content differs; a digest of the content is kept next to it.
options:
  directory:
    description: Where the servers' directories are.
    type: path
    default: /var/lib/skywright/servers
  image_directory:
    description: The host's image cache.
    type: path
    default: /var/lib/skywright/images
  image_timeout:
    description: Seconds that one image's download, and its conversion, may take.
    type: int
    default: 1800
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.servers
  - skywright.cloud.images
  - skywright.cloud.converge.unmet
"""

EXAMPLES = r"""
- name: A disk of one gigabyte
  skywright.cloud.server_disk:
    servers:
      - id: 0a0b0c0d-0000-4000-8000-000000000004
        image_id: 0a0b0c0d-0000-4000-8000-000000000003
        disk_gib: 1
        config_drive:
          meta_data: {uuid: 0a0b0c0d-0000-4000-8000-000000000004, hostname: web-1}
"""

RETURN = r"""
results:
  description: One entry an image or a server.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: create, status: present}]
commands:
  description: The programs that were run to change something.
  returned: always
  type: list
  elements: list
  sample: [[qemu-img, create, -f, qcow2, disk]]
"""

import base64
import binascii
import hashlib
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import check, iso9660, items
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import (
    ItemError,
    converge,
    each,
    require,
)
from ansible_collections.skywright.cloud.plugins.module_utils.files import (
    read_text,
    remove,
    virtual_size,
    write_file,
    write_text,
)
from ansible_collections.skywright.cloud.plugins.module_utils.images import Cache

GIB = 1024**3
LOST = "lost"
SPEC = {
    "servers": items.SERVERS,
    "directory": {"type": "path", "default": "/var/lib/skywright/servers"},
    "images": items.IMAGES,
    "image_directory": {"type": "path", "default": "/var/lib/skywright/images"},
    "image_timeout": {"type": "int", "default": 1800},
    "unmet": {"type": "dict", "default": {}},
}


def config_files(config_drive):
    """Give the config drive's files as {path: bytes}, the same bytes for the same content."""
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
    """Give one digest of the config drive's files."""
    total = hashlib.sha256()
    for path, content in sorted(files.items()):
        total.update(f"{path} {len(content)}\n".encode() + content)
    return total.hexdigest()


class Disks:
    """The servers' directories; C(skywright.json) in each keeps what the files themselves do not tell."""

    def __init__(self, runner, *, directory, image_directory, unmet):
        self.runner = runner
        self.directory = directory
        self.image_directory = image_directory
        self.unmet = dict(unmet)

    @property
    def actions(self):
        """What a plan may ask for."""
        return {"create": self.write, "update": self.write, "delete": self.delete}

    def path(self, server_id, *names):
        """Name a file in a server's directory."""
        return os.path.join(self.directory, server_id, *names)

    def read(self, servers):
        """Read the directories of the listed servers."""
        return {item["id"]: self._read(item["id"]) for item in servers if os.path.isdir(self.path(item["id"]))}

    def _read(self, server_id):
        record = json.loads(read_text(self.path(server_id, "skywright.json")) or "{}")
        drive = record.get("config_drive") if os.path.exists(self.path(server_id, "disk.config")) else None
        size = virtual_size(self.path(server_id, "disk"))
        return {"disk_bytes": size, "config_drive": drive, "image_id": record.get("image_id")}

    def want(self, item, have):
        """Want a disk that is large enough and a config drive with the right content."""
        check.uuid(item["id"])
        require(item, self.unmet)
        if item["state"] == "absent":
            return None
        drive = item["config_drive"] and digest(config_files(item["config_drive"]))
        there = (have or {}).get("disk_bytes")
        if item["launched"] and not there:
            raise ItemError(f"its disk {self.path(item['id'], 'disk')} is lost, with all that was stored on it", LOST)
        image_id = (there and have["image_id"]) or check.uuid(item["image_id"] or "")
        size = max(item["disk_gib"] * GIB, there or self._least(item) or 0)
        return {"disk_bytes": size, "config_drive": drive, "image_id": image_id}

    def _least(self, item):
        """Give the size of the image, if it is there already."""
        size = virtual_size(self._base(item["image_id"]))
        if size and 0 < item["disk_gib"] * GIB < size:
            raise ItemError(f"the image needs a disk of {size} bytes, more than {item['disk_gib']} GiB")
        return size

    def _base(self, image_id):
        return os.path.join(self.image_directory, image_id + ".qcow2")

    def write(self, step):
        """Make or grow the disk, and write the config drive."""
        require(step.item, self.unmet)
        os.makedirs(self.path(step.id), mode=0o755, exist_ok=True)
        if step.changes("disk_bytes"):
            self._write_disk(step)
        if step.changes("config_drive"):
            self._write_config_drive(step)
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
        # The record goes first: it keeps the image in the cache while the disk is being made.
        write_text(self.path(step.id, "skywright.json"), json.dumps({"image_id": step.want["image_id"]}))
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk + ".new"]
        self.runner.write([*argv, str(max(size, least))])
        os.chmod(disk + ".new", 0o600)
        os.replace(disk + ".new", disk)

    def _write_config_drive(self, step):
        drive = self.path(step.id, "disk.config")
        if step.want["config_drive"] is None:
            remove(drive)
            return
        write_file(drive, iso9660.image("config-2", config_files(step.item["config_drive"])), mode=0o600)

    def delete(self, step):
        """Remove the directory with all it holds."""
        remove(self.path(step.id))


class Storage:
    """Images and disks in one plan: the images first, and no disk without its image."""

    def __init__(self, cache, disks, images, servers):
        self.cache = cache
        self.disks = disks
        self.images = images
        self.servers = servers
        self.image_ids = {item["id"] for item in images}

    def read(self, _items):
        """Read both."""
        return {**self.cache.read(self.images), **self.disks.read(self.servers)}

    def want(self, item, have):
        """Want the image or the disk."""
        if item["id"] not in self.image_ids:
            return self.disks.want(item, have)
        try:
            return self.cache.want(item, have)
        except ItemError as error:
            self._miss(item["id"], error)
            raise

    def _miss(self, image_id, reason):
        self.disks.unmet[image_id] = f"image {image_id}: {reason}"

    def apply(self, steps):
        """Bring the images, then make the disks of those that came."""
        errors = each(self.cache.actions, threads=4)([step for step in steps if step.id in self.image_ids])
        for image_id, reason in errors.items():
            self._miss(image_id, reason)
        others = [step for step in steps if step.id not in self.image_ids]
        return {**errors, **each(self.disks.actions, threads=4)(others)}


def main():
    """Converge the servers' directories."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    runner, params = Runner(), module.params
    cache = Cache(
        runner,
        directory=params["image_directory"],
        servers=params["directory"],
        timeout=params["image_timeout"],
    )
    settings = {key: params[key] for key in ("directory", "image_directory", "unmet")}
    storage = Storage(cache, Disks(runner, **settings), params["images"], params["servers"])
    converge(
        module,
        items=params["images"] + params["servers"],
        read=storage.read,
        want=storage.want,
        apply=storage.apply,
        status=lambda want: "present",
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
