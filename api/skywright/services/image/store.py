"""The image store: a directory with one file for each image, and files of data that is being received.

`<id>.<hash>` is an image's data, or data that waits for its import; `<id>.part` is being received. Several controllers
may have received different data for one image: the database says which is valid. The receiver holds a lock on the part,
which is released when its process dies.
"""

import errno
import fcntl
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from skywright.http import ApiError, Conflict, TooLarge
from skywright.services.image.inspection import Inspection

DIGITS = 32  # of the hash in a file name
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Content:
    """Metadata of received data."""

    size: int
    virtual_size: int | None
    checksum: str
    os_hash_algo: str
    os_hash_value: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Store:
    """The directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, image_id: str, digest: str) -> Path:
        """Return the path of an image's data with this hash."""
        return self._directory / f"{image_id}.{digest[:DIGITS]}"

    def find(self, image_id: str, digest: str) -> Path | None:
        """Return the path of the data if this controller has it."""
        # Data of earlier releases has only the image's id as its name.
        paths = (self.path(image_id, digest), self._directory / image_id)
        return next((path for path in paths if path.exists()), None)

    def receive(self, image_id: str, limit: int) -> "Upload":
        """Begin to receive an image's data, at most *limit* bytes; raise Conflict if data is already being received."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        return Upload(self._directory / f"{image_id}.part", limit)

    def files(self) -> dict[str, list[Path]]:
        """Return all files, by image."""
        found: dict[str, list[Path]] = {}
        for path in self._directory.iterdir() if self._directory.exists() else ():
            found.setdefault(path.name.partition(".")[0], []).append(path)
        return found

    def remove(self, image_id: str) -> None:
        """Remove all data of an image, including that of a process that died."""
        for path in self.files().get(image_id, ()):
            path.unlink(missing_ok=True)


class Upload:
    """Data that is being received; `keep` moves it into the store, and `close` ends the reception."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._inspection = Inspection()
        self._descriptor = _open_locked(path)

    def write(self, chunk: bytes) -> None:
        """Add bytes; raise TooLarge if there are too many, or if the disk is full."""
        self._size += len(chunk)
        if self._size > self._limit:
            raise TooLarge(f"Images may not be larger than {self._limit} bytes.")
        self._md5.update(chunk)
        self._sha512.update(chunk)
        self._inspection.watch(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise _explained(error) from error

    def finish(self, disk_format: str | None, container_format: str | None) -> Content:
        """Make the written data durable, and return its metadata. Only the container format bare is inspected."""
        bare = disk_format if container_format == "bare" else None
        virtual_size = self._inspection.conclude(bare, self._size) if bare else None
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise _explained(error) from error
        return Content(self._size, virtual_size, self._md5.hexdigest(), "sha512", self._sha512.hexdigest())

    def keep(self, path: Path) -> None:
        """Move the data to its place, atomically. The image stays locked."""
        try:
            os.link(self._path, path)
        except FileNotFoundError as error:
            raise ApiError("The image was deleted while its data was uploaded.", status=410) from error
        except FileExistsError:
            pass  # the same data, because its hash is in the name
        _sync_directory(path.parent)

    def close(self) -> None:
        """Remove the part and release the lock."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _open_locked(path: Path) -> int:
    """Open the file *path*, empty and locked by this descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The last owner may have moved or removed the file between open and lock: then start again.
        if not path.exists() or os.fstat(descriptor).st_ino != path.stat().st_ino:
            raise BlockingIOError
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict("Data of this image is being uploaded already.") from error
    os.ftruncate(descriptor, 0)
    return descriptor


def _explained(error: OSError) -> Exception:
    if error.errno in FULL:
        return TooLarge("Image storage media is full: there is not enough disk space on the image storage media.")
    return error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
