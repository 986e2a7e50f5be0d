"""Allowed imports of the API's packages, and the size of a worker.

Every import counts, including those below `if TYPE_CHECKING:` and in functions.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

API = Path("api")
PACKAGE = API / "skywright"
# From top to bottom: a file imports only from its own layer and from those below it.
LAYERS = (
    ("cli", "app", "worker", "revise", "__main__", "metrics", "controller_metrics"),
    ("services",),
    ("http",),
    ("cloud",),
    ("jobs",),
    ("core",),
    ("auth",),
    ("db",),
    ("queue",),
    ("settings", "errors", "log", "redact", "backoff", "validation"),
)
# Modules that know all services; everything else in `services` belongs to one of them.
ALL_SERVICES = ("registry", "bootstrap")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(API).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    files = [path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts]
    return {module_of(path): path for path in files}


def imports(path: Path) -> set[str]:
    """Return the modules that the file imports; for modules imported from a package, only these."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names.update(name if name in modules() else node.module for name in full)
    return names


@cache
def imports_of_modules() -> dict[str, set[str]]:
    """Return {module: the modules of the API that it imports}."""
    return {name: (imports(path) & modules().keys()) - {name} for name, path in modules().items()}


def layer_of(module: str) -> int:
    part = module.split(".")[1] if "." in module else "__main__"
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def service_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and parts[1] == "services" and parts[2] not in ALL_SERVICES else None


def importers(prefix: str, directory: Path) -> set[str]:
    """Return the files of *directory* that import *prefix* or something in it."""
    files = [path for path in directory.rglob("*.py") if "__pycache__" not in path.parts]
    found = [path for path in files if any(f"{name}.".startswith(f"{prefix}.") for name in imports(path))]
    return {str(path.relative_to(directory)) for path in found}


def cycles() -> list[list[str]]:
    """Return the groups of modules that import each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports_of_modules()[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in modules():
        if name not in index:
            visit(name)
    return found


def test_there_are_no_import_cycles() -> None:
    assert cycles() == []


def test_nothing_imports_from_a_layer_above_its_own() -> None:
    upward = [
        f"{name} -> {other}"
        for name, others in imports_of_modules().items()
        for other in sorted(others)
        if layer_of(other) < layer_of(name)
    ]
    assert upward == []


def test_services_import_each_other_only_through_internal_modules() -> None:
    crossing = [
        f"{name} -> {other}"
        for name, others in imports_of_modules().items()
        for other in sorted(others)
        if service_of(name) and service_of(other) not in (None, service_of(name)) and not other.endswith(".internal")
    ]
    assert crossing == []


def test_no_service_imports_modules_that_know_all_services() -> None:
    central = {f"skywright.services.{name}" for name in ALL_SERVICES}
    assert [name for name, others in imports_of_modules().items() if service_of(name) and others & central] == []


def test_only_the_runner_imports_ansible_runner() -> None:
    assert importers("ansible_runner", PACKAGE) == {"jobs/runs/runner.py"}


def test_plugins_do_not_import_the_api() -> None:
    assert importers("skywright", Path("plugins")) == set()


def test_a_worker_loads_neither_the_web_framework_nor_the_command_line() -> None:
    heavy = ("fastapi", "starlette", "uvicorn", "oslo_policy", "oslo_config", "typer", "rich", "alembic", "openstack")
    code = f"""
import sys, skywright.worker
print([name for name in {heavy!r} if name in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "[]"
