"""One run: ansible-runner with a process of the launcher. The only module that uses ansible_runner."""

import codecs
import io
import json
import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_runner import Runner, RunnerConfig
from ansible_runner.utils import OutputEventFilter, get_callback_dir

from skywright.core import playbook_file
from skywright.jobs.engine.results import Results
from skywright.jobs.runs.launcher_client import Launcher
from skywright.jobs.runs.rundir import MARK, RunDirectory, is_full
from skywright.jobs.runs.variables import dump

log = logging.getLogger(__name__)

RunEvent = dict[str, Any]
Sink = Callable[[list[RunEvent]], None]

FLUSH_SECONDS = 0.5


def environment(project: Path) -> dict[str, str]:
    """Return the environment of the launcher and of its runs: Ansible reads most settings when it is imported."""
    foreign = ("ANSIBLE_", "SKYWRIGHT_", "OS_", MARK)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": get_callback_dir(),
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_FORKS": "20",
        "ANSIBLE_NOCOLOR": "1",
        "MAX_EVENT_RES": str(
            64 << 20
        ),  # ansible-runner drops larger results; one result has all console logs of a host
    }


class Run:
    """One execution of a playbook. `cancel` may be called by another thread.

    With *check*, Ansible runs in check mode with diffs.
    """

    def __init__(
        self,
        directory: RunDirectory,
        project: Path,
        playbook: str,
        launcher: Launcher,
        *,
        check: bool = False,
        timeout_seconds: float = math.inf,
    ) -> None:
        self._directory, self._project, self._launcher = directory, project, launcher
        self._arguments = "--check --diff" if check else None
        self._timeout_seconds = timeout_seconds
        self._playbook = playbook_file(playbook)
        self._canceled = threading.Event()
        self._runner: LauncherRunner | None = None

    def cancel(self) -> None:
        """End the run and all its processes."""
        self._canceled.set()
        if self._runner is not None:
            self._runner.end()

    def execute(self, inventory: dict[str, Any], variables: dict[str, Any], sink: Sink) -> Results:
        """Run the playbook, pass events to *sink* in batches, and return the results."""
        hosts = self._directory.write("inventory/hosts.yml", dump(inventory))
        self._directory.write("env/extravars", dump(variables))
        config = RunnerConfig(
            private_data_dir=str(self._directory.path),
            project_dir=str(self._project),
            playbook=self._playbook,
            inventory=str(hosts),
            cmdline=self._arguments,
            envvars=environment(self._project),
            fact_cache_type="memory",
            ident="artifacts",
            quiet=True,
        )
        config.prepare()
        # RunnerConfig copies the environment of this process, whose secrets are not for runs.
        wanted = environment(self._project)
        config.env = {
            **wanted,
            **{name: config.env[name] for name in config.env if name.startswith(("AWX_", "RUNNER_"))},
            MARK: self._directory.path.name,
        }
        results = Results()
        self._runner = LauncherRunner(
            config, self._launcher, self._directory, results, sink, timeout_seconds=self._timeout_seconds
        )
        if self._canceled.is_set():
            self._runner.end()
        self._runner.run()
        results.canceled = self._canceled.is_set()
        results.timed_out = self._runner.timed_out
        results.rc, results.disk_full = self._runner.rc, is_full(self._directory.path)
        return results


class LauncherRunner(Runner):  # type: ignore[misc]
    """An ansible-runner that reads a pipe from a process of the launcher, not a terminal of its own child process.

    This saves the start of Ansible, and the polling and the fixed delays of the terminal.
    """

    def __init__(
        self,
        config: RunnerConfig,
        launcher: Launcher,
        directory: RunDirectory,
        results: Results,
        sink: Sink,
        *,
        timeout_seconds: float,
    ) -> None:
        super().__init__(config, event_handler=self._add_event)
        self._timeout_seconds = timeout_seconds
        self._launcher, self._directory, self._results, self._sink = launcher, directory, results, sink
        self.timed_out = False
        self._process: Any = None
        self._ended = False
        self._batch: list[RunEvent] = []
        self._flushed_at = time.monotonic()

    def end(self) -> None:
        """End the run, now or as soon as it begins."""
        self._ended = True
        if self._process is not None:
            self._process.end()

    def run(self) -> tuple[str, int | None]:
        events = Path(self.config.artifact_dir, "job_events")
        events.mkdir(mode=0o700, parents=True)
        source, sink = os.pipe()
        lock = self._directory.share()
        try:
            command = self.config.command
            self._process = self._launcher.launch(command, Path(self.config.cwd), self.config.env, sink, lock)
        finally:
            os.close(sink)
            os.close(lock)
        if self._ended:
            self._process.end()
        with os.fdopen(source, "rb", buffering=0) as output:
            self._read_output(output)
        self.rc = self._process.wait()
        if self.rc is None:
            self._directory.kill_remaining()
        self._add_missing_events(events)
        self._flush()
        self.status = "successful" if self.rc == 0 else "failed"
        return self.status, self.rc

    def _read_output(self, output: io.FileIO) -> None:
        """Read the output until the process has ended, even if another process keeps the pipe open."""
        os.set_blocking(output.fileno(), False)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        text = OutputEventFilter(None, self.event_callback, suppress_ansible_output=True)
        deadline = time.monotonic() + self._timeout_seconds
        over = False
        while not over:
            ready, _, _ = select.select([output, self._process], [], [], FLUSH_SECONDS)
            over = self._process in ready
            while data := output.read(1 << 18):
                text.write(decode(data))
            over = over or data == b""
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()
            if time.monotonic() > deadline and not self.timed_out:
                self.timed_out = True
                self._process.end()
        text.close()

    def _add_event(self, event: RunEvent) -> bool:
        self._results.add(event)
        self._batch.append(event)
        return False  # do not write a file

    def _add_missing_events(self, events: Path) -> None:
        """Add events that are missing in the output: their data are still in the run's directory."""
        for path in sorted(events.glob("*-partial.json"), key=lambda path: path.stat().st_mtime_ns):
            try:
                event = json.loads(path.read_text())
            except (OSError, ValueError):
                continue  # incomplete: its process was killed
            self._add_event({**event, "counter": None})

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        if self._batch:
            batch, self._batch = self._batch, []
            self._sink(batch)


def inventory(hosts: Iterable[tuple[str, list[str], dict[str, Any]]]) -> dict[str, Any]:
    """Return an inventory of *hosts* [(name, groups, variables)]."""
    names: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for name, memberships, variables in hosts:
        names[name] = variables
        for group in memberships:
            groups.setdefault(group, {"hosts": {}})["hosts"][name] = {}
    return {"all": {"hosts": names, "children": groups}}
