"""An API process with a database of its own. Without a worker, its jobs stay queued."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from bench.client import ApiError, Client
from skywright.app import create_app
from skywright.cloud import Cloud
from skywright.db.migrate import upgrade
from skywright.http.access_log import AccessLog
from skywright.http.server import Server
from skywright.log import configure
from skywright.services.bootstrap import bootstrap
from skywright.settings import Settings

START_SECONDS = 60
ADMIN = {"name": "admin", "domain": {"name": "Default"}}


class Alone:
    """The API process; `client` is its administrator's client, `cloud` gives access to its database."""

    def __init__(self, directory: Path, *, worker: bool = False) -> None:
        self._directory = directory
        self._worker = worker
        self._exits = ExitStack()

    def __enter__(self) -> "Alone":
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            state = Path(mkdtemp(prefix="bench-", dir=self._directory))
            self._exits.callback(shutil.rmtree, state, ignore_errors=True)
            settings = settings_of(state, _free_port())
            upgrade(settings.database_url)
            self.cloud = Cloud(settings)
            self._exits.callback(self.cloud.database.engine.dispose)
            password = secrets.token_hex()
            bootstrap(self.cloud.database, settings, {"admin": password})
            self._start(settings)
            auth = {"auth_url": f"{settings.public_url}/identity/v3", "username": "admin", "password": password}
            self.client = Client(auth, ADMIN)
            self._exits.callback(self.client.http.close)
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def _start(self, settings: Settings) -> None:
        process = self._run(settings, "bench.alone", str(settings.root), str(settings.port))
        if self._worker:
            self._run(settings, "skywright.worker")
        limit = time.monotonic() + START_SECONDS
        while not _answers(settings.public_url):
            if process.poll() is not None or time.monotonic() > limit:
                raise ApiError(f"the API does not start: {(settings.root / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _run(self, settings: Settings, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a Python module; it ends with this object. Hosts are not observed unless a job says so."""
        variables = {"STATE_DIR": settings.root, "PORT": settings.port, "PUBLIC_URL": settings.public_url}
        variables |= {"OBSERVE_SECONDS": 0}
        environment = os.environ | {f"SKYWRIGHT_{name}": str(value) for name, value in variables.items()}
        with (settings.root / "log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=log, env=environment)
        self._exits.callback(process.wait)
        self._exits.callback(process.terminate)
        return process


def settings_of(state: Path, port: int) -> Settings:
    return Settings(state_dir=state, port=port, public_url=f"http://127.0.0.1:{port}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz"):
            return True
    except (URLError, ConnectionError):
        return False


def serve(settings: Settings) -> None:
    """Serve like `skywright serve`, without a worker."""
    configure()
    listener = socket.create_server(("127.0.0.1", settings.port), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Server(AccessLog(create_app(settings))).run(sockets=[listener])


if __name__ == "__main__":
    serve(settings_of(Path(sys.argv[1]), int(sys.argv[2])))
