# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What M(skywright.cloud.host_items) does."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress

from ansible_collections.skywright.cloud.plugins.module_utils.converge import answer
from ansible_collections.skywright.cloud.plugins.module_utils.host_run import HostRun
from ansible_collections.skywright.cloud.plugins.module_utils.kind import handed_on

# What of a result tells how the item is; logs and differences come with the module's answer.
TOLD = ("id", "kind", "changed", "action", "status", "error", "final")


class Progress:
    """Writes results into a pipe, each as a line of JSON; nobody waits for a reader that is late, slow or gone."""

    def __init__(self, path):
        self._path = path
        self._pipe = None
        self._pending = b""
        self._turn = threading.Lock()

    def __call__(self, result):
        line = json.dumps({name: result[name] for name in TOLD if name in result}) + "\n"
        with self._turn, suppress(OSError):  # what is lost here comes with the module's answer
            self._pending += line.encode()
            if self._pipe is None:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._pending = self._pending[os.write(self._pipe, self._pending) :]


def run(module):
    """Converge the host."""
    params = module.params
    report = Progress(params["progress"]) if params["progress"] and not module.check_mode else None
    host = HostRun(params["items"], params, module.check_mode, handed_on(params["unmet"]), report)
    results, commands = host.converge()
    answer(module, results, commands)
