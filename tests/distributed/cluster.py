"""A control plane of several API processes and workers, each like on a separate machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from distributed.servers import ENDS_WITH_PARENT, free_port
from skywright.cloud import Cloud
from skywright.db.jobs import Host
from skywright.services import bootstrap
from skywright.services.compute.tables import QuotaLimit
from skywright.settings import Settings

HERE = Path(__file__).parent
PASSWORD = "secret-of-the-tests"
LEASE_SECONDS = 12
HOSTS = ("null1", "null2", "null3")


class Machine:
    """A process with its own state directory."""

    def __init__(self, root: Path, name: str, arguments: list[str], settings: dict[str, str]) -> None:
        self.state = root / name
        shutil.copytree(root / "first" / "keys", self.state / "keys")
        self._command = [*ENDS_WITH_PARENT, sys.executable, *arguments]
        self._environment = os.environ | settings | {"SKYWRIGHT_STATE_DIR": str(self.state)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.state / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=HERE.parents[1], env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self.state / "log").read_text(errors="replace")


class Api(Machine):
    """An API process, and one client's requests to it."""

    def __init__(self, root: Path, name: str, settings: dict[str, str]) -> None:
        self.port = free_port()
        super().__init__(root, name, [str(HERE / "serve.py"), str(self.port)], settings)
        self.url = f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def make_first(root: Path, database: str, broker: str) -> tuple[Cloud, dict[str, str]]:
    """Return the cloud for the test's own queries, and the settings of all processes. The database has its tables."""
    settings = {
        "SKYWRIGHT_DATABASE": database,
        "SKYWRIGHT_BROKER": broker,
        "SKYWRIGHT_PROJECT_DIR": str(HERE / "project"),
        "SKYWRIGHT_OBSERVE_SECONDS": "0",
        "SKYWRIGHT_LEASE_SECONDS": str(LEASE_SECONDS),
        "SKYWRIGHT_WORKERS_SWEEP_SECONDS": "2",
    }
    cloud = Cloud(Settings(state_dir=root / "first", database=database, project_dir=HERE / "project"))
    bootstrap.bootstrap(cloud.database, cloud.settings, {"admin": PASSWORD})
    with cloud.database.write() as session:
        session.add_all(QuotaLimit(project_id="", resource=name, limit=-1) for name in ("instances", "cores", "ram"))
        for name in HOSTS:
            directory = root / name
            for part in ("servers", "locks"):
                (directory / part).mkdir(parents=True)
            variables: dict[str, Any] = {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "hypervisor_libvirt_uri": "test:///default",  # a null host: no networks, no images
                "host_directory": str(directory),
            }
            row = Host(name=name, groups=["computes"], variables=variables)
            row.vcpus, row.memory_mib, row.disk_gib = 1000, 1 << 20, 10_000
            session.add(row)
    assert cloud.tokens and cloud.secrets  # all machines share the keys
    return cloud, settings
