import struct

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import iso9660

SECTOR = 2048


def read(image):
    """Read an image as Linux does: from the volume's root record, names in small letters without versions."""
    assert image[16 * SECTOR : 16 * SECTOR + 6] == b"\x01CD001"
    assert image[17 * SECTOR : 17 * SECTOR + 6] == b"\xffCD001"
    assert struct.unpack("<I", image[16 * SECTOR + 80 : 16 * SECTOR + 84])[0] * SECTOR == len(image)
    root = image[16 * SECTOR + 156 : 16 * SECTOR + 190]
    files = {}
    walk(image, root, "", files)
    return files


def walk(image, record, path, files):
    start, size = struct.unpack("<I4xI", record[2:14])
    if not record[25] & 2:
        files[path] = image[start * SECTOR : start * SECTOR + size]
        return
    position = start * SECTOR
    while image[position]:
        child = image[position : position + image[position]]
        name = child[33 : 33 + child[32]]
        if name not in (b"\0", b"\1"):
            shown = name.decode().split(";")[0].rstrip(".").lower()
            walk(image, child, f"{path}/{shown}".lstrip("/"), files)
        position += len(child)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"one": b""},
        {"openstack/latest/meta_data.json": b"{}", "openstack/latest/user_data": b"x" * 5000, "z.txt": b"\0" * SECTOR},
    ],
)
def test_what_is_written_can_be_read(files):
    image = iso9660.image("config-2", files)
    assert read(image) == files
    assert len(image) >= 128 * 1024
    assert image[16 * SECTOR + 40 : 16 * SECTOR + 72].rstrip() == b"config-2"


def test_path_tables_name_every_directory():
    image = iso9660.image("config-2", {"a/b/c": b"", "d/e": b""})
    size, table = struct.unpack("<I4xI", image[16 * SECTOR + 132 : 16 * SECTOR + 144])
    entries, position = [], table * SECTOR
    while position < table * SECTOR + size:
        length, _, sector, parent = struct.unpack("<BBIH", image[position : position + 8])
        entries.append((image[position + 8 : position + 8 + length], sector, parent))
        position += 8 + length + length % 2
    assert [(name, parent) for name, _, parent in entries] == [(b"\0", 1), (b"A", 1), (b"D", 1), (b"B", 2)]
    assert [sector for _, sector, _ in entries] == [20, 21, 22, 23]


def test_too_many_files_are_refused():
    with pytest.raises(ValueError, match="too many"):
        iso9660.image("x", {f"file-{number}": b"" for number in range(60)})
