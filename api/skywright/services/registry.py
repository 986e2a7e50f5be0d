"""The services of the cloud. A new one is a folder here and a name in this list.

`SERVICE`, in a service's `api.py`, is what an API process serves; `KINDS`, in its `kinds`, are its kinds of jobs, which
a worker loads without the web stack; `tables.py` has its tables.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from skywright.core import Kind

if TYPE_CHECKING:
    from skywright.http.service import Service

# A service stands before those whose resources its own use on hosts: a server uses ports and images.
SERVICES = ["identity", "compute", "network", "image", "operations"]


def _modules(part: str) -> Iterator[ModuleType]:
    for name in SERVICES:
        path = f"{__package__}.{name}.{part}"
        if find_spec(path) is not None:
            yield import_module(path)


def services() -> list["Service"]:
    """All services, as an API process serves them."""
    return [module.SERVICE for module in _modules("api")]


def kinds() -> list[Kind]:
    """All kinds of jobs, those of resources that use others first."""
    return [kind for module in _modules("kinds") for kind in module.KINDS]


def load_tables() -> None:
    """Have all tables known to `Base.metadata`."""
    import_module("skywright.db.tables")
    for _ in _modules("tables"):
        pass
