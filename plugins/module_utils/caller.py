# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module ends with the run that it works for.

When the run is ended on the controller, or the controller is gone, the SSH server closes the pipe that the module
answers into. Nobody wants its work then, and what it still did would cross what comes next.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
import time
from contextlib import suppress

# Less than it takes until another run begins here.
GRACE_SECONDS = 0.3


def end_with_caller():
    """Call watch_caller() in a module that Ansible runs, alone in its process."""
    if hasattr(sys.modules["__main__"], "_module_fqn"):
        watch_caller()


def watch_caller():
    """From now on, end this process and the programs that it runs as soon as nobody reads its answer."""
    if not stat.S_ISFIFO(os.fstat(1).st_mode):
        return
    with suppress(PermissionError):  # it leads its session, and so its group
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, daemon=True).start()


def _watch():
    poll = select.poll()
    poll.register(1, select.POLLERR)
    poll.poll()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _leave(_number, _frame):
    raise SystemExit(1)
