"""Run directories: private, short-lived, and locked as long as any process of the run lives.

Every process of the run that could still change a host keeps the lock's file open. Whoever gets the lock alone has the
proof that the run is over, whatever became of its worker. What a task started on this machine and let go of does not
keep it open; like all processes of a run, on hosts too, it has the run's id in its environment.
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
RECORD = "record.json"  # all that stays of a run
END_SECONDS = 5.0
ROOM = 32 << 20  # without so many free bytes no run begins


class RunDirectory:
    """`<runs>/<run id>`, made 0700 and locked; at the end only its record, if it has one, stays.

    An OSError if there is no room for it.
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
        """Empty the directory and let go of it."""
        remove(self.path.parent, self.path.name)
        os.close(self._lock)

    def share(self) -> int:
        """A descriptor that holds the lock, for the processes of the run."""
        lock = _open_lock(self.path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def end_stragglers(self) -> None:
        """Return when no other process of the run lives: kill those that lost whoever should have ended them.

        The lock is ours alone from then on: giving it up, if only to share it, would look as if the worker had died.
        """
        while not _alone(self._lock):
            fcntl.flock(self._lock, fcntl.LOCK_SH)  # the attempt lost it
            _kill(_holders(self.path / "lock"))
            time.sleep(0.01)
        end_marked(self.path.name)

    def write(self, name: str, text: str) -> Path:
        """Write the private file *name*."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        return path


def is_full(path: Path) -> bool:
    """Whether the disk that *path* is on has no room for what a run writes."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize < ROOM


def abandoned(runs: Path, run_id: str) -> bool:
    """Whether the run has a directory here and no process of it lives any more, its worker included."""
    try:
        lock = _open_lock(runs / run_id)
    except FileNotFoundError:
        return False
    try:
        return _alone(lock)
    finally:
        os.close(lock)


def alive(runs: Path, run_id: str) -> bool:
    """Whether some process of the run lives on this machine."""
    return (runs / run_id).exists() and not abandoned(runs, run_id)


def end_marked(run_id: str) -> None:
    """Kill what still lives on this machine of a run that is over, but for SSH's connections, which runs share."""
    limit = time.monotonic() + END_SECONDS
    while (pids := list(_marked(run_id))) and time.monotonic() < limit:
        _kill(pids)
        time.sleep(0.01)


def is_shared_connection(pid: int) -> bool:
    """Whether the process is ssh's connection to a host, which the runs of a worker share."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").endswith(b"[mux]")
    return False


def remove(runs: Path, run_id: str, *, record: bool = False) -> None:
    """Remove what a run that is over left; its *record* only if told so."""
    path = runs / run_id
    empty(runs, run_id)
    if record or not (path / RECORD).exists():
        shutil.rmtree(path, ignore_errors=True)
    else:
        (path / "lock").unlink(missing_ok=True)


def empty(runs: Path, run_id: str) -> None:
    """Remove a run's files but its record and its lock: by the lock, whoever is interrupted here is found out."""
    with contextlib.suppress(FileNotFoundError):
        for left in (runs / run_id).iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif left.name not in (RECORD, "lock"):
                left.unlink(missing_ok=True)


def _open_lock(path: Path) -> int:
    return os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> Iterator[int]:
    """The processes that have *path* open, but for this one."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            pid = int(descriptor.parts[2])
            if pid != os.getpid() and descriptor.readlink() == path:
                yield pid


def _marked(run_id: str) -> Iterator[int]:
    """The processes of this machine, but not of containers on it, that have the run's id in their environment."""
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
