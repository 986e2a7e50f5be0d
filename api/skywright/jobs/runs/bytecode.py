"""Modules that hosts need not compile: what Ansible packs for them goes out with its bytecode beside the source.

Starting a module costs a host 0.22 s of its processor, 0.15 s of that for compiling the same 430 kB of Ansible again
and again. Python takes bytecode out of a zip file only if it was made by the same version, and else the source.
"""

import importlib
import importlib.util
import marshal
import types
import zipfile
from typing import Any

UNCHECKED = (0b01).to_bytes(4, "little")  # the source beside it is what it was made of: PEP 552


class ZipFile(zipfile.ZipFile):
    """A zip file that gets a .pyc with each .py."""

    def writestr(self, zinfo_or_arcname: zipfile.ZipInfo | str, data: Any, *args: Any, **options: Any) -> None:
        super().writestr(zinfo_or_arcname, data, *args, **options)
        info = zinfo_or_arcname if isinstance(zinfo_or_arcname, zipfile.ZipInfo) else zipfile.ZipInfo(zinfo_or_arcname)
        if info.filename.endswith(".py"):
            compiled = zipfile.ZipInfo(f"{info.filename}c", info.date_time)
            compiled.compress_type = self.compression
            super().writestr(compiled, bytecode(info.filename, data))


def bytecode(name: str, source: bytes | str) -> bytes:
    """The content of the .pyc of *source*."""
    code = compile(source, name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(b"") + marshal.dumps(code)


def install() -> None:
    """Have Ansible in this process pack modules that way."""
    module_common = importlib.import_module("ansible.executor.module_common")
    packing = types.ModuleType(zipfile.__name__)
    vars(packing).update(vars(zipfile) | {"ZipFile": ZipFile})
    vars(module_common)["zipfile"] = packing
