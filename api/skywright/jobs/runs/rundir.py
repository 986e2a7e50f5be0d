"""Run directories: private, temporary, and locked as long as any process of the run exists.

Every process of the run that can still change a host keeps the lock's file open. A process that gets the exclusive lock
knows that the run has ended, even if its worker died. Background processes that a task started on this machine do not
keep the file open, but like all processes of a run, on hosts too, they have the run's id in their environment.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

# The variable with the run's id; ssh sends it to hosts (ansible.cfg), where plugins/module_utils/processes.py finds it.
MARK = "LC_SKYWRIGHT_RUN"
RECORD = "record.json"  # the only file that stays after the run
END_SECONDS = 5.0
ROOM = 32 << 20  # free bytes that a run needs to begin


class RunDirectory:
    """`<runs>/<run id>`, made with mode 0700 and locked; at the end only its record, if it has one, stays.

    Raises OSError if the disk is full.
    """

    def __init__(self, runs: Path, run_id: str) -> None:
        self.path = runs / run_id
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_full(runs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.path.mkdir(mode=0o700)
        self._lock = self.share()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files and release the lock."""
        remove(self.path.parent, self.path.name)
        os.close(self._lock)

    def share(self) -> int:
        """Return a descriptor that holds the lock, for the processes of the run."""
        lock = _open_lock(self.path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def kill_remaining(self) -> None:
        """Kill the remaining processes of the run, and return when none is left.

        The lock is exclusive from then on: releasing it, even to share it, would look as if the worker had died.
        """
        while not _lock_exclusively(self._lock):
            fcntl.flock(self._lock, fcntl.LOCK_SH)  # the failed attempt released it
            _kill(pid for pid, path in open_files() if path == self.path / "lock")
            time.sleep(0.01)
        kill_marked(self.path.name)

    def write(self, name: str, text: str) -> Path:
        """Write the private file *name*."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        return path


def is_full(path: Path) -> bool:
    """Return whether the disk of *path* has too little space for a run."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize < ROOM


def is_abandoned(runs: Path, run_id: str) -> bool:
    """Return whether the run has a directory on this machine, but no process, not even its worker's."""
    try:
        lock = _open_lock(runs / run_id)
    except FileNotFoundError:
        return False
    try:
        return _lock_exclusively(lock)
    finally:
        os.close(lock)


def alive(runs: Path, run_id: str) -> bool:
    """Return whether a process of the run exists on this machine."""
    return (runs / run_id).exists() and not is_abandoned(runs, run_id)


def kill_marked(run_id: str) -> None:
    """Kill the processes of an ended run on this machine, except for SSH connections, which runs share."""
    limit = time.monotonic() + END_SECONDS
    before: list[int] = []
    # A process that ends while /proc is read may have started another one, which only the next reading finds.
    while ((pids := list(_marked(run_id))) or before) and time.monotonic() < limit:
        _kill(pids)
        before = pids
        time.sleep(0.01)


def is_shared_connection(pid: int) -> bool:
    """Return whether the process is an ssh connection to a host that the runs of a worker share."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").endswith(b"[mux]")
    return False


def remove(runs: Path, run_id: str, *, record: bool = False) -> None:
    """Remove the files of an ended run; its record only if *record*."""
    path = runs / run_id
    empty(runs, run_id)
    if record or not (path / RECORD).exists():
        shutil.rmtree(path, ignore_errors=True)
    else:
        (path / "lock").unlink(missing_ok=True)


def empty(runs: Path, run_id: str) -> None:
    """Remove a run's files, except for its record and its lock, by which an interrupted call is detected."""
    with contextlib.suppress(FileNotFoundError):
        for left in (runs / run_id).iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif left.name not in (RECORD, "lock"):
                left.unlink(missing_ok=True)


def _open_lock(path: Path) -> int:
    return os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock_exclusively(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_files() -> Iterator[tuple[int, Path]]:
    """Yield (process, file) for every file that another process of this machine has open."""
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # the process ended, which Path.glob() does not expect
            for descriptor in list((process / "fd").iterdir()):
                with contextlib.suppress(OSError):
                    yield int(process.name), descriptor.readlink()


def _marked(run_id: str) -> Iterator[int]:
    """Yield the processes of this machine, without those in containers, that have the run's id in their environment."""
    variable, namespace = f"{MARK}={run_id}".encode(), Path("/proc/self/ns/pid").readlink()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            marked = variable in (path / "environ").read_bytes().split(b"\0")
            if marked and (path / "ns/pid").readlink() == namespace and not is_shared_connection(int(path.name)):
                yield int(path.name)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
