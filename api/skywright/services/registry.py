"""The services of the cloud. A new service is a folder here and a name in this list.

`SERVICE`, in a service's `api.py`, is for API processes; `KINDS`, in its `kinds`, are its kinds of jobs, which workers
load without the web framework; `tables.py` and modules named `..._tables` have its tables.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from skywright.core import Kind

if TYPE_CHECKING:
    from skywright.http.service import Service

# A service comes before the services whose resources its own resources use on hosts: a server uses ports and images.
SERVICES = ["identity", "compute", "network", "image", "operations"]


def _modules(part: str) -> Iterator[ModuleType]:
    for name in SERVICES:
        path = f"{__package__}.{name}.{part}"
        if find_spec(path) is not None:
            yield import_module(path)


def services() -> list["Service"]:
    """Return all services, for an API process."""
    return [module.SERVICE for module in _modules("api")]


def kinds() -> list[Kind]:
    """Return all kinds of jobs; kinds of resources come before the kinds that they use."""
    return [kind for module in _modules("kinds") for kind in module.KINDS]


def load_tables() -> None:
    """Load all tables into `Base.metadata`."""
    import_module("skywright.db.tables")
    for name in SERVICES:
        package = f"{__package__}.{name}"
        for module in iter_modules(import_module(package).__path__, f"{package}."):
            if module.name.endswith("tables"):
                import_module(module.name)
