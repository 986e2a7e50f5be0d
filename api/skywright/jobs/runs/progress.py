"""Results of items while a run goes on, so that its finished jobs need not wait for its other jobs.

Ansible reports a module's results when the module has ended. Therefore `host_items` also writes each final result to a
pipe on its host, and an ssh process of the worker reads it. Results that are lost on this way come at the end of the
module.
"""

import contextlib
import hashlib
import logging
import os
import selectors
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from skywright.jobs.engine.rendering import RunHost
from skywright.jobs.runs.connection import ssh_command
from skywright.jobs.runs.rundir import MARK

log = logging.getLogger(__name__)

DIRECTORY = "/run/skywright"
# `cat` ends with the writer of the pipe; if no writer comes, it ends at its timeout.
READ = "mkdir -p -m 0700 {directory} && mkfifo -m 0600 {pipe} && timeout {seconds} cat {pipe}; rm -f {pipe}"
LIMIT_SECONDS = 7200
LINE_LIMIT = 1 << 20
LOOK_SECONDS = 0.05

OnResults = Callable[[list[tuple[str, dict[str, Any]]]], None]


def pipe_of(run_id: str) -> str:
    """Return the path of a run's pipe on each of its hosts."""
    return f"{DIRECTORY}/progress-{run_id}"


class Progress:
    """Reads the pipes of *hosts* until the run ends; calls *on_results* with lists of (host, result)."""

    def __init__(self, run_id: str, hosts: Iterable[RunHost], sockets: Path, on_results: OnResults) -> None:
        self._on_results = on_results
        self._stopping = threading.Event()
        command = READ.format(directory=DIRECTORY, pipe=pipe_of(run_id), seconds=LIMIT_SECONDS)
        self._readers = {
            name: subprocess.Popen(
                _with_open_connection(ssh_command(name, variables, ["sh", "-c", command]), variables, sockets),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, MARK: run_id},
            )
            for name, _groups, variables in hosts
            if variables.get("ansible_connection", "ssh") == "ssh"
        }
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for reader in self._readers.values():
            reader.kill()
            reader.wait()
        self._thread.join()

    def _run(self) -> None:
        rests = dict.fromkeys(self._readers, b"")
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for name, reader in self._readers.items():
                assert reader.stdout is not None
                stack.enter_context(reader.stdout)
                selector.register(reader.stdout, selectors.EVENT_READ, name)
            while selector.get_map() and not self._stopping.is_set():
                found: list[tuple[str, dict[str, Any]]] = []
                for key, _events in selector.select(LOOK_SECONDS):
                    data = os.read(key.fd, 1 << 16)
                    if not data or len(rests[key.data]) > LINE_LIMIT:
                        selector.unregister(key.fileobj)
                        continue
                    *lines, rests[key.data] = (rests[key.data] + data).split(b"\n")
                    found += [(key.data, result) for line in lines if (result := _parsed(line))]
                if found:
                    self._report(found)
                    self._stopping.wait(LOOK_SECONDS)  # report results together that come together

    def _report(self, found: list[tuple[str, dict[str, Any]]]) -> None:
        try:
            self._on_results(found)
        except Exception:  # the results come again at the end of the run
            log.exception("the progress of a run cannot be stored")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the result in *line*; None if it is not one."""
    try:
        result = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return result if isinstance(result, dict) and isinstance(result.get("id"), str) else None


def _with_open_connection(command: list[str], variables: Mapping[str, Any], sockets: Path) -> list[str]:
    """Return *command* with options to use Ansible's open connection to the host, if there is one."""
    parts = (variables.get("ansible_host"), variables.get("ansible_port"), variables.get("ansible_user"))
    # The name of the socket, as Ansible's ssh plugin makes it.
    name = hashlib.sha1("-".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()[:10]
    options = ("ControlMaster=no", f"ControlPath={sockets / name}", f"SendEnv={MARK}")
    return [command[0], *(word for option in options for word in ("-o", option)), *command[1:]]
