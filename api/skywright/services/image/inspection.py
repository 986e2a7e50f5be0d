"""Inspection of image data while it is received: its format, and whether it is safe to open.

A disk image can name other files as its backing or data file, and a program that opens it would read them. The
inspectors are those that Glance, Nova and Cinder share.
"""

from typing import IO, cast

from oslo_utils.imageutils.format_inspector import (
    FileInspector,
    ImageFormatError,
    InspectWrapper,
    SafetyCheckFailed,
)

from skywright.http import ApiError

# Formats without a header: data with a header is refused, because programs that detect formats would use the header.
PLAIN = frozenset({"raw", "gpt", "ami", "ari", "aki"})
INSPECTED = frozenset({"qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso"})
MAX_BYTES = 2**63 - 1


class Inspection:
    """Inspects the data of one image, in chunks of any size."""

    def __init__(self) -> None:
        self._chunk = b""
        self._wrapper = InspectWrapper(cast(IO[bytes], self))

    def read(self, _size: int) -> bytes:
        """Return the current chunk, as the source of the wrapper."""
        return self._chunk

    def watch(self, chunk: bytes) -> None:
        self._chunk = chunk
        self._wrapper.read(len(chunk))

    def conclude(self, disk_format: str, size: int) -> int | None:
        """Return the virtual size of data of *size* bytes; raise an error (415) unless it is a safe *disk_format*."""
        self._wrapper.close()
        # A raw disk may have a partition table, and an ISO image that boots from disks, too.
        found = {str(item): item for item in self._wrapper.formats or () if str(item) not in ("raw", "gpt")}
        if disk_format in PLAIN:
            if found:
                raise _refused(f"Declared format {disk_format} does not match the content: {', '.join(found)}")
            return size
        if disk_format not in INSPECTED:
            return None
        if set(found) != {disk_format}:
            raise _refused(f"Declared format {disk_format} does not match the content: {', '.join(found) or 'raw'}")
        return _checked(found[disk_format])


def _checked(inspector: FileInspector) -> int:
    try:
        inspector.safety_check()
        size = int(inspector.virtual_size)
    except SafetyCheckFailed as error:
        reasons = "; ".join(str(reason) for reason in error.failures.values())
        raise _refused(f"The image is not safe to use: {reasons}") from error
    except (ImageFormatError, ValueError) as error:
        raise _refused(f"The image cannot be understood: {error}") from error
    if size > MAX_BYTES:
        raise _refused("The virtual size of the image is out of range.")
    return size


def _refused(message: str) -> ApiError:
    return ApiError(message, status=415)
