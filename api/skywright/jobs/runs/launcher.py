"""The launcher: a process that has imported Ansible and forks an `ansible-playbook` for each run.

The start of Ansible takes 0.6 s, a fork of this process a few milliseconds. The worker sends requests through a socket
that is the launcher's standard input. A request is one message {argv, cwd, env} with three descriptors: a connection
for the exit code, the output, and the lock of the run directory.

    worker ──control──> launcher ──fork──> guardian ──fork──> ansible-playbook ──> its own forks, ssh
       └──────────connection──────────────────┘

A guardian kills all processes below it when its connection closes (the run was canceled, the worker died) or when the
launcher dies. It is a subreaper: it adopts processes whose parent died, so that a process with its own session is
killed, too.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import select
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from skywright.jobs.runs import bytecode, rundir
from skywright.log import configure

log = logging.getLogger("skywright.jobs.runs.launcher")  # not __name__, which may be __main__

MESSAGE_BYTES = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# Modules that a run imports late. It is no error if a later version of Ansible does not have one.
LAZY = (
    "ansible.cli.playbook",
    "ansible.executor.module_common",
    "ansible.executor.process.worker",
    "ansible.executor.task_executor",
    "ansible.playbook.handler_task_include",
    "ansible.playbook.role_include",
    "ansible.utils.hashing",
    "ansible._internal._json._profiles._inventory_legacy",
    "multiprocessing.popen_fork",
    "multiprocessing.synchronize",
    "ansible_collections.ansible.builtin",
    "ansible_collections.skywright.cloud",
)
# Ansible loads all plugins of these types in every run and parses their documentation for their options.
ALL_PLUGINS = ("become", "callback", "connection", "shell")
PLUGINS = {
    "action": ("normal", "skywright.cloud.host_info", "skywright.cloud.host_items"),
    "cache": ("memory",),
    "inventory": ("yaml",),
    "strategy": ("free", "linear"),
}
DISPLAY = "ansible.plugins.callback.awx_display"


def main() -> None:
    """Serve the control socket on standard input until the worker closes it."""
    configure()
    control = socket.socket(fileno=os.dup(0))
    _replace(os.open(os.devnull, os.O_RDWR), 0)
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing waits for guardians
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a ^C in a terminal is for the worker, which then ends the launcher
    parent = os.getpid()
    modules = Modules()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if not message:
            return
        request = json.loads(message)
        modules.check(Path(request["cwd"]))
        if os.fork() == 0:
            control.close()
            _guard(parent, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def warm_up() -> None:
    """Import all that a run needs, and freeze the garbage collector, so that it does not touch (and copy) memory after
    a fork.
    """
    loaders = importlib.import_module("ansible.plugins.loader")
    loaders.init_plugin_loader()
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    for name in LAZY:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log.info("%s is not preloaded: %s", name, error)
    for kind in ALL_PLUGINS:
        for _ in getattr(loaders, f"{kind}_loader").all(class_only=True):
            pass
    for kind, names in PLUGINS.items():
        for name in names:
            try:
                getattr(loaders, f"{kind}_loader").get(name, class_only=True)
            except Exception as error:  # a run that needs it reports the error
                log.info("%s is not preloaded: %s", name, error)
    _render_a_template()
    bytecode.install()
    gc.collect()
    gc.freeze()


def _render_a_template() -> None:
    """Load and compile what all templates use; otherwise each task of each host does it again."""
    template = importlib.import_module("ansible.template")
    loader = importlib.import_module("ansible.parsing.dataloader").DataLoader()
    template.Templar(loader).template(template.trust_as_template("{{ (missing | default({})) is mapping }}"))


class Modules:
    """Ansible's cache of packed modules, a directory that all runs share. It is emptied when a module changes."""

    def __init__(self) -> None:
        constants = importlib.import_module("ansible.constants")
        self._cache = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        self._newest = 0

    def check(self, project: Path) -> None:
        """Empty the cache if a file in the project's plugins is newer than at the last run."""
        newest = max((path.stat().st_mtime_ns for path in (project / "plugins").glob("module*/*.py")), default=0)
        if newest != self._newest:
            shutil.rmtree(self._cache, ignore_errors=True)
            self._newest = newest


def _guard(launcher: int, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    connection, output, _lock = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _terminated)
    process_control(PR_SET_CHILD_SUBREAPER, 1)
    process_control(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if os.getppid() != launcher:
            raise _Terminated
        pid = os.fork()
        if pid == 0:
            os.close(connection)
            _play(request, output)
        os.close(output)
        exited = os.pidfd_open(pid)
        ready, _, _ = select.select([connection, exited], [], [])
        if exited in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.write(connection, str(code).encode())
            os._exit(0)
    except (_Terminated, OSError):
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_descendants()
    os._exit(1)


class _Terminated(BaseException):
    """The launcher died."""


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def _play(request: dict[str, Any], output: int) -> NoReturn:
    """Become `ansible-playbook`. Never returns to the code of the process that was forked."""
    code = 250
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # In case the guardian itself is killed.
        process_control(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        os.register_at_fork(after_in_child=gc.freeze)  # of Ansible's processes, one for each task of each host
        _replace(output, 1, 2)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = request["argv"]
        if DISPLAY in sys.modules:  # ansible-runner's display; a new one, because runs must not share its lock
            vars(sys.modules[DISPLAY])["event_context"] = sys.modules[DISPLAY].EventContext()
        importlib.import_module("ansible.cli.playbook").main(request["argv"])
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        logging.getLogger(__name__).exception("ansible-playbook failed to start")
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end_descendants() -> None:
    """Kill this process's descendants and wait until they are dead, except for SSH connections, which runs share."""
    while victims := [pid for pid in children() if not rundir.is_shared_connection(pid)]:
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in victims:  # their children become children of this process
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children() -> Iterator[int]:
    """Return the ids of this process's children."""
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return map(int, text.split())


def process_control(option: int, value: int) -> None:
    """Call prctl(2)."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _replace(source: int, *targets: int) -> None:
    for target in targets:
        os.dup2(source, target)
    os.close(source)


if __name__ == "__main__":
    main()
