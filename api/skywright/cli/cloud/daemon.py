"""`skywright serve` in the background: one process group, its pid file in var/run, its log in var/log."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from skywright.cli.cloud.checkout import Checkout
from skywright.cli.cloud.steps import StepFailed
from skywright.services import registry
from skywright.settings import PORT

START_SECONDS = 30
STOP_SECONDS = 30  # time for requests and runs to end


class Daemon:
    """The API and its worker, as a background process of this checkout."""

    def __init__(self, checkout: Checkout, address: str) -> None:
        self._checkout = checkout
        self._address = address
        self._pid_file = checkout.state / "run" / "skywright.pid"
        self.log = checkout.state / "log" / "skywright.log"

    @property
    def url(self) -> str:
        return f"http://{self._address}:{PORT}"

    def pid(self) -> int | None:
        """Return the daemon's process id; None if the pid file is outdated."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if b"serve" in command and any(word.endswith(b"skywright") for word in command) else None

    def outdated(self) -> bool:
        """Return whether the code has changed since the start of the daemon."""
        started = self._pid_file.stat().st_mtime
        return any(path.stat().st_mtime > started for path in Path(__file__).parents[1].rglob("*.py"))

    def write_settings(self) -> None:
        """Write var/skywright.env: listen on the lab's address, and on the loopback address if its ports are free."""
        listen = [self._address, *(["127.0.0.1"] if _free("127.0.0.1") else [])]
        lines = [f"SKYWRIGHT_LISTEN={','.join(listen)}", f"SKYWRIGHT_PUBLIC_URL={self.url}"]
        (self._checkout.state / "skywright.env").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start the daemon and wait until it answers; raise StepFailed with the end of its log."""
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("skywright"), "serve"],
                cwd=self._checkout.root,
                env=self._checkout.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{process.pid}\n")
        limit = time.monotonic() + START_SECONDS
        while not self.ready():
            if process.poll() is not None or time.monotonic() > limit:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise StepFailed(f"The API did not start:\n{tail}", f"The whole log is {self.log}.")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Return whether the API and its database answer."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop the daemon and its processes, with SIGKILL if necessary."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            limit = time.monotonic() + STOP_SECONDS
            while self.pid() == pid and time.monotonic() < limit:
                time.sleep(0.05)
            if self.pid() == pid:
                os.killpg(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)


def _free(address: str) -> bool:
    classic = [service.port for service in registry.services() if service.port]
    for port in (PORT, *classic):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
