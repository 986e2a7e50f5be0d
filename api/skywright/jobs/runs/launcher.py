"""The warm process: it has imported Ansible once and forks an `ansible-playbook` for each run.

Starting Ansible costs 0.6 s, forking this process a few milliseconds. The worker owns it through a socket that is its
standard input. A request there is one message {argv, cwd, env} with three descriptors: a connection for the exit code,
the output, and the lock that tells that a process of the run still lives.

    worker ──control──> launcher ──fork──> guardian ──fork──> ansible-playbook ──> its own forks, ssh
       └──────────connection──────────────────┘

A guardian ends everything below it when its connection closes (the run was canceled, the worker died) or when the
launcher dies. It adopts what loses its parent, so nothing escapes by starting a session of its own.
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

log = logging.getLogger("skywright.jobs.runs.launcher")  # as __main__, too

MESSAGE_BYTES = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# What a run imports only when it gets there; one that a later Ansible lacks is not worth an error.
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
# Ansible loads all plugins of these kinds in every run and parses their documentation for their options.
ALL_PLUGINS = ("become", "callback", "connection", "shell")
PLUGINS = {
    "action": ("normal", "skywright.cloud.host_items"),
    "cache": ("memory",),
    "inventory": ("yaml",),
    "strategy": ("free", "linear"),
}
DISPLAY = "ansible.plugins.callback.awx_display"


def main() -> None:
    """Serve the control socket on standard input until its other end closes."""
    configure()
    control = socket.socket(fileno=os.dup(0))
    _replace(os.open(os.devnull, os.O_RDWR), 0)
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guardians are not waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for the worker, which then ends us
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
    """Import all that a run needs, and keep the garbage collector from touching (and so copying) it after a fork."""
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
            except Exception as error:  # a run that needs it says so
                log.info("%s is not preloaded: %s", name, error)
    bytecode.install()
    gc.collect()
    gc.freeze()


class Modules:
    """Ansible keeps each module that it packed in a directory that all our runs share: forget them when one changes."""

    def __init__(self) -> None:
        constants = importlib.import_module("ansible.constants")
        self._cache = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        self._newest = 0

    def check(self, project: Path) -> None:
        """Empty the cache if anything under the project's plugins is newer than at the last run."""
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
    """Be `ansible-playbook`; never return to the code of the process that we were forked from."""
    code = 250
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Should the guardian itself be killed.
        process_control(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        _replace(output, 1, 2)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = request["argv"]
        if DISPLAY in sys.modules:  # ansible-runner's; a new one, for its lock must not be shared by runs
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
    """Kill this process's descendants, wait until they are dead; SSH's shared connections belong to other runs too."""
    while victims := [pid for pid in children() if not rundir.is_shared_connection(pid)]:
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in victims:  # theirs become ours now
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children() -> Iterator[int]:
    """The processes whose parent is this one."""
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return map(int, text.split())


def process_control(option: int, value: int) -> None:
    """prctl(2)."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _replace(source: int, *targets: int) -> None:
    for target in targets:
        os.dup2(source, target)
    os.close(source)


if __name__ == "__main__":
    main()
