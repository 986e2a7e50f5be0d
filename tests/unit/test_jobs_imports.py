"""What may know what, and how small a worker stays."""

import ast
import subprocess
import sys
from pathlib import Path

API = Path("api/skywright")


def imports(path: Path) -> set[str]:
    """The modules that the file names in its imports, type checkers' included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


def importers(prefix: str, directory: Path) -> set[str]:
    """The files of *directory* that import *prefix* or something in it."""
    files = [path for path in directory.rglob("*.py") if "__pycache__" not in path.parts]
    found = [path for path in files if any(f"{name}.".startswith(f"{prefix}.") for name in imports(path))]
    return {str(path.relative_to(directory)) for path in found}


def test_only_the_runner_knows_ansible_runner() -> None:
    assert importers("ansible_runner", API) == {"jobs/runner.py"}


def test_jobs_and_tables_know_no_service() -> None:
    assert importers("skywright.services", API / "jobs") == set()
    assert importers("skywright.services", API / "db") == set()
    assert importers("skywright.jobs", API / "db") == set()


def test_nothing_that_goes_to_hosts_knows_the_api() -> None:
    assert importers("skywright", Path("plugins")) == set()


def test_a_worker_loads_neither_the_web_stack_nor_the_command_line() -> None:
    heavy = ("fastapi", "starlette", "uvicorn", "oslo_policy", "oslo_config", "typer", "rich", "alembic", "openstack")
    code = f"""
import sys, skywright.jobs.worker
from skywright.jobs.playbooks import registry
registry()
print([name for name in {heavy!r} if name in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "[]"
