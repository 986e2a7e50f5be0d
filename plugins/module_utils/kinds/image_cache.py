# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base images in a host's cache."""

from __future__ import annotations

import hashlib
import json
import os
import time

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock
from ansible_collections.skywright.cloud.plugins.module_utils.spec import list_of, option, state

IMAGES = list_of(
    "The images to converge.",
    id=option("UUID of the image.", required=True),
    state=state("Whether the image is in the cache."),
    url=option("The URL of the image (http, https or file), used only when the image is missing."),
    checksum=option("Algorithm and hexadecimal digest of the file at the URL, such as V(sha256:...)."),
    disk_format=option("Format of the file at the URL.", choices=["qcow2", "raw"], default="qcow2"),
)
SUFFIX = ".qcow2"
# Suffixes of the files that a download and a conversion write.
PARTS = (".partial", ".converted")
CHUNK = 1024 * 1024
TRIES = 3
FORBIDDEN = 403


class ImageCache(Kind):
    """The directory of base images."""

    name, items, label = "image_cache", "images", "image"
    item = IMAGES
    options = {
        "directory": option("The directory of the cache.", "path", default="/var/lib/skywright/images"),
        "servers": option(
            "Directory of the servers' disks, which are based on images.", "path", default="/var/lib/skywright/servers"
        ),
        "timeout": option("Seconds that one image's download, and its conversion, may take.", "int", default=1800),
    }

    def __init__(self, **options):
        super().__init__(**options)
        self.directory = self.settings["directory"]
        self.servers = self.settings["servers"]
        self.timeout = self.settings["timeout"]

    def path(self, image_id):
        """Return the path of an image's file."""
        return os.path.join(self.directory, image_id + SUFFIX)

    def apply(self, steps, done):
        """Download or remove several images at a time."""
        return each({"create": self.fetch, "update": self.fetch, "delete": self.delete}, threads=4)(steps, done)

    def read(self, items):
        """Read which images are in the cache, completely or partially."""
        have = {}
        for item in items:
            path = self.path(item["id"])
            if any(os.path.exists(path + part) for part in ("", *PARTS)):
                have[item["id"]] = {"cached": os.path.exists(path)}
        return have

    def marks(self):
        """List the images in the cache, including partial ones of killed runs."""
        found = {name for part in ("", *PARTS) for name in ids_in(self.directory, SUFFIX + part)}
        return [{"id": name} for name in sorted(found)]

    def want(self, item, have):
        """Return the wanted state. An absent image that is in use stays."""
        check.uuid(item["id"])
        if item["state"] == "present":
            if not (have and have["cached"]) and not item["url"]:
                raise ItemError("the image is not in the cache and has no url")
            return {"cached": True}
        return have if have and item["id"] in self._in_use() else None

    def _in_use(self):
        records = []
        if os.path.isdir(self.servers):
            for server in set(os.listdir(self.servers)) - self.gone:
                records.append(read_text(os.path.join(self.servers, server, "skywright.json")))
        return {json.loads(record).get("image_id") for record in records if record}

    def _lock(self, image_id):
        return lock("image-" + image_id, timeout=self.timeout)

    def delete(self, step):
        """Remove an image's files, after a download by another run has ended."""
        with self._lock(step.id):
            for part in ("", *PARTS):
                remove(self.path(step.id) + part)

    def fetch(self, step):
        """Download an image into the cache. A partial file has another name."""
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        partial, converted = (self.path(step.id) + part for part in PARTS)
        with self._lock(step.id):
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
        # Importing these takes longer than reading the cache.
        import http.client  # noqa: PLC0415
        import urllib.error  # noqa: PLC0415

        deadline = time.monotonic() + self.timeout
        for attempt in range(1, TRIES + 1):
            try:
                self._fetch(item, path, deadline)
                return
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                # The controller may have failed, or the URL may have expired by its clock. Another controller
                # may serve the image.
                code = getattr(error, "code", 0)
                final = item["url"].startswith("file:") or (400 <= code < 500 and code != FORBIDDEN)
                if final or attempt == TRIES or time.monotonic() > deadline:
                    raise ItemError(f"cannot download the image: {error}") from error
                time.sleep(attempt)
            except OSError as error:
                raise ItemError(f"cannot store the image in {self.directory}: {error.strerror or error}") from error

    def _fetch(self, item, path, deadline):
        import http.client  # noqa: PLC0415
        import urllib.request  # noqa: PLC0415

        algorithm, digest = self._digest(item["checksum"])
        with urllib.request.urlopen(_checked_url(item["url"]), timeout=30) as source, open(path, "wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                if algorithm:
                    algorithm.update(chunk)
                if time.monotonic() > deadline:
                    raise ItemError(f"the download did not end within {self.timeout} seconds")
            if getattr(source, "length", None):
                raise http.client.IncompleteRead(b"", source.length)
        if algorithm and algorithm.hexdigest() != digest:
            raise ItemError("the downloaded image does not have the given checksum")

    @staticmethod
    def _digest(checksum):
        if not checksum:
            return None, None
        name, _, digest = checksum.partition(":")
        if name not in ("sha256", "sha512", "md5") or not digest:
            raise ItemError(f"{checksum!r} is not a checksum such as sha256:...")
        return hashlib.new(name), digest.lower()

    def _inspect(self, path, disk_format):
        """Refuse an image that refers to other files of the host."""
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
            remove(path)  # before the image is in place, because later runs do not look for parts of a cached image
            path = converted
        os.chmod(path, 0o644)
        return path


def _checked_url(url):
    if url.split("://")[0] not in ("http", "https", "file"):
        raise ItemError("the url of an image must begin with http, https or file")
    return url
