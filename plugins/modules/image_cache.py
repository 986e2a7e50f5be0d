#!/usr/bin/python
# Copyright: Skywright contributors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: image_cache
short_description: Base images in a host's cache
description:
  - Downloads an image that is missing, verifies its checksum on the way, refuses images that refer to other files,
    converts it to qcow2 and puts it under its name in one step.
  - An image in the cache is never looked at again; images do not change. One that a server's disk is based on stays
    in the cache when it is removed; remove it again after the server.
options:
  images:
    description: The images to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: UUID of the image.
        type: str
        required: true
      state:
        description: Whether the image shall be in the cache.
        type: str
        choices: [present, absent]
        default: present
      url:
        description: Where to download it (http, https or file); only read when the image is missing.
        type: str
      checksum:
        description: Algorithm and hexadecimal digest of what O(images[].url) serves, such as V(sha256:...).
        type: str
      disk_format:
        description: Format of what O(images[].url) serves.
        type: str
        choices: [qcow2, raw]
        default: qcow2
  directory:
    description: The cache.
    type: path
    default: /var/lib/skywright/images
  servers:
    description: Directory of the servers' disks, which are based on images.
    type: path
    default: /var/lib/skywright/servers
  timeout:
    description: Seconds that one image's download, and its conversion, may take.
    type: int
    default: 1800
extends_documentation_fragment:
  - skywright.cloud.converge
"""

EXAMPLES = r"""
- name: A base image
  skywright.cloud.image_cache:
    images:
      - id: 0a0b0c0d-0000-4000-8000-000000000003
        url: http://10.64.0.1:9292/v2/images/0a0b0c0d-0000-4000-8000-000000000003/file
        checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

RETURN = r"""
results:
  description: One entry an image.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000003, changed: true, action: create, status: present}]
commands:
  description: The programs that were run to change something.
  returned: always
  type: list
  elements: list
  sample: [[qemu-img, convert, -f, raw, -O, qcow2, from, to]]
"""

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock

CHUNK = 1024 * 1024
IMAGE = {
    "id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "url": {"type": "str"},
    "checksum": {"type": "str"},
    "disk_format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
}
SPEC = {
    "images": {"type": "list", "elements": "dict", "required": True, "options": IMAGE},
    "directory": {"type": "path", "default": "/var/lib/skywright/images"},
    "servers": {"type": "path", "default": "/var/lib/skywright/servers"},
    "timeout": {"type": "int", "default": 1800},
}


class Cache:
    """The directory of base images."""

    def __init__(self, runner, *, directory, servers, timeout):
        self.runner = runner
        self.directory = directory
        self.servers = servers
        self.timeout = timeout

    def path(self, image_id):
        """Name an image's file."""
        return os.path.join(self.directory, image_id + ".qcow2")

    def read(self, items):
        """Look which images are there."""
        return {item["id"]: {"cached": True} for item in items if os.path.exists(self.path(item["id"]))}

    def want(self, item, have):
        """Want the image; one in use cannot go yet."""
        check.uuid(item["id"])
        if item["state"] == "present":
            if have is None and not item["url"]:
                raise ItemError("the image is not in the cache and has no url")
            return {"cached": True}
        return have if have and item["id"] in self._in_use() else None

    def _in_use(self):
        records = []
        if os.path.isdir(self.servers):
            for server in os.listdir(self.servers):
                records.append(read_text(os.path.join(self.servers, server, "skywright.json")))
        return {json.loads(record).get("image_id") for record in records if record}

    def delete(self, step):
        """Remove an image's file."""
        remove(self.path(step.id))

    def create(self, step):
        """Bring an image into the cache; what is half done has another name."""
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        partial, converted = (self.path(step.id) + suffix for suffix in (".partial", ".converted"))
        with lock("image-" + step.id, timeout=self.timeout):
            if os.path.exists(self.path(step.id)):
                return
            try:
                self._download(step.item, partial)
                self._inspect(partial, step.item["disk_format"])
                os.replace(self._as_qcow2(partial, converted, step.item["disk_format"]), self.path(step.id))
            finally:
                remove(partial)
                remove(converted)

    def _download(self, item, path):
        algorithm, digest = self._digest(item["checksum"])
        deadline = time.monotonic() + self.timeout
        try:
            source = urllib.request.urlopen(_checked_url(item["url"]), timeout=30)
            with source, open(path, "wb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    if algorithm:
                        algorithm.update(chunk)
                    if time.monotonic() > deadline:
                        raise ItemError(f"the download did not end within {self.timeout} seconds")
        except (urllib.error.URLError, http.client.HTTPException) as error:
            raise ItemError(f"cannot download the image: {error}") from error
        except OSError as error:
            raise ItemError(f"cannot store the image in {self.directory}: {error.strerror or error}") from error
        if algorithm and algorithm.hexdigest() != digest:
            raise ItemError("the downloaded image does not have the promised checksum")

    @staticmethod
    def _digest(checksum):
        if not checksum:
            return None, None
        name, _, digest = checksum.partition(":")
        if name not in ("sha256", "sha512", "md5") or not digest:
            raise ItemError(f"{checksum!r} is not a checksum such as sha256:...")
        return hashlib.new(name), digest.lower()

    def _inspect(self, path, disk_format):
        """Refuse an image that would make QEMU open another file of the host."""
        argv = ["qemu-img", "info", "--output=json", "-f", disk_format, path]
        information = json.loads(self.runner.read(["prlimit", "--as=1073741824", "--cpu=30", *argv]))
        data = information.get("format-specific", {}).get("data", {})
        if information.get("backing-filename") or information.get("full-backing-filename"):
            raise ItemError("the image refers to a backing file")
        if data.get("data-file") or data.get("data-file-raw"):
            raise ItemError("the image refers to an external data file")
        if information.get("encrypted"):
            raise ItemError("the image is encrypted")

    def _as_qcow2(self, path, converted, disk_format):
        if disk_format != "qcow2":
            argv = ["qemu-img", "convert", "-f", disk_format, "-O", "qcow2", path, converted]
            self.runner.write(argv, timeout=self.timeout)
            path = converted
        os.chmod(path, 0o644)
        return path


def _checked_url(url):
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise ItemError("an image's url begins with http, https or file")
    return url


def main():
    """Converge the images."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    runner = Runner()
    settings = {key: module.params[key] for key in ("directory", "servers", "timeout")}
    cache = Cache(runner, **settings)
    converge(
        module,
        items=module.params["images"],
        read=cache.read,
        want=cache.want,
        apply=each({"create": cache.create, "delete": cache.delete}, threads=4),
        status=lambda want: "present",
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
