"""The client of the launcher: starts it, requests processes, and starts another launcher if it died."""

import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
from pathlib import Path

log = logging.getLogger(__name__)


class LauncherError(Exception):
    """No process could be started."""


class Process:
    """An `ansible-playbook` that a launcher forked. Its guardian sends the exit code through *connection*."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """Return a descriptor that is readable when the process has ended."""
        return self._connection.fileno()

    def end(self) -> None:
        """Kill the process and all processes below it. `wait` returns when none is left."""
        with contextlib.suppress(OSError):  # it has ended
            self._connection.shutdown(socket.SHUT_WR)

    def wait(self) -> int | None:
        """Return the exit code; None if the process was killed or lost."""
        with self._connection as connection:
            answer = connection.recv(16)
            while connection.recv(16):  # until the guardian has ended, too
                pass
        return int(answer) if answer else None


class Launcher:
    """A launcher process with the environment *env* in the directory *project*; thread-safe."""

    def __init__(self, env: dict[str, str], project: Path) -> None:
        self._env, self._project = env, project
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the launcher if it does not run. It imports Ansible in the background."""
        with self._lock:
            self._running()

    def launch(self, argv: list[str], cwd: Path, env: dict[str, str], output: int, lock: int) -> Process:
        """Start *argv* with its output to *output*. *lock* stays open as long as a process of the run exists."""
        ours, theirs = socket.socketpair()
        message = json.dumps({"argv": argv, "cwd": str(cwd), "env": env}).encode()
        with theirs:
            for _attempt in range(2):
                try:
                    with self._lock:
                        socket.send_fds(self._running(), [message], [theirs.fileno(), output, lock])
                    return Process(ours)
                except OSError as error:
                    log.warning("the launcher does not answer (%s): cold start of another one", error)
                    self.close()
        ours.close()
        raise LauncherError("Ansible cannot be started; the worker's log says why")

    def close(self) -> None:
        """End the launcher and all processes that it started."""
        with self._lock:
            control, process = self._control, self._process
            self._control = self._process = None
        if control is not None:
            control.close()
        if process is not None:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _running(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        if self._control is not None:
            log.warning("the launcher died: cold start of another one")
            self._control.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "skywright.jobs.runs.launcher"]
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=self._project, env=self._env)
        self._control = ours
        return ours
