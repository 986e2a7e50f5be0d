# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processes of a run on a host: those whose environment names the run, and their descendants.

A worker starts Ansible with the variable C(MARK), whose value is the run's id. Local processes inherit it; ssh sends it
(C(SendEnv) in ansible.cfg) and Debian's sshd accepts C(LC_*); sudo keeps C(LC_*), too. So a process carries it whatever
module started it, also one that left its session. Below it is counted what has an environment of its own (C(su -)).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

MARK = "LC_SKYWRIGHT_RUN"
PROC = "/proc"
TERM_SECONDS = 1.0
KILL_SECONDS = 10.0


def find(runs):
    """Return the processes of the runs, C({run id: {pid: name}}), without descendants that belong to another run."""
    parents, names, marks = {}, {}, {}
    for entry in os.listdir(PROC):
        if entry.isdigit():
            with suppress(OSError):  # the process has ended
                names[int(entry)], parents[int(entry)] = name_and_parent(entry)
                marks[int(entry)] = variable(entry, MARK)
    found = {run: {} for run in runs}
    for pid in parents:
        nearest = pid
        while nearest in parents and not marks.get(nearest):
            nearest = parents[nearest]
        if marks.get(nearest) in found and not _is_shared_connection(pid):
            found[marks[nearest]][pid] = names[pid]
    return found


def end(runs):
    """End the processes of the runs and return those that do not end, as C({run id: {pid: name}})."""
    began = time.monotonic()
    number = signal.SIGTERM
    told, before = set(), {}
    while True:
        found = {run: processes for run, processes in find(runs).items() if processes}
        elapsed = time.monotonic() - began
        # A process that ends while find() reads /proc may have started another one, which only the next call finds.
        if elapsed > KILL_SECONDS or not (found or before):
            return found
        before = found
        if elapsed > TERM_SECONDS:
            number = signal.SIGKILL
        for pid in {pid for processes in found.values() for pid in processes}:
            if number == signal.SIGKILL or pid not in told:
                with suppress(OSError):
                    os.kill(pid, number)
        told.update(*found.values())
        time.sleep(0.05)


def name_and_parent(pid):
    """Return the process's name and the id of its parent; raise OSError if it has ended."""
    with open(os.path.join(PROC, str(pid), "stat"), encoding="utf-8", errors="replace") as file:
        start, _, rest = file.read().rpartition(")")
    state, parent = rest.split()[:2]
    if state in "ZX":
        raise ProcessLookupError(pid)
    return start.partition("(")[2], int(parent)


def variable(pid, name):
    """Return a variable of the process's environment; None if it has none or cannot be read."""
    try:
        with open(os.path.join(PROC, str(pid), "environ"), "rb") as file:
            variables = file.read().split(b"\0")
    except PermissionError:
        return None
    prefix = name.encode() + b"="
    return next((one[len(prefix) :].decode("ascii", "replace") for one in variables if one.startswith(prefix)), None)


def _is_shared_connection(pid):
    """Return whether the process is a shared ssh connection to a host, which later runs use, too."""
    with suppress(OSError), open(os.path.join(PROC, str(pid), "cmdline"), "rb") as file:
        return file.read().rstrip(b"\0 ").endswith(b"[mux]")
    return False
