"""Kills the worker that the run is for, at the boundary of tasks that MORTAL_BOUNDARY counts."""

import os
import signal
import time
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: mortal
type: aggregate
short_description: Kill the worker at a task boundary
description: Kills the worker at a task boundary.
"""


class CallbackModule(CallbackBase):
    """All that came before a boundary is done, nothing that comes after it has begun."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "mortal"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.left = int(os.environ["MORTAL_BOUNDARY"])
        self.counts = False

    def v2_playbook_on_start(self, playbook):
        self.counts = playbook._file_name.endswith("cloud/items.yml")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.boundary(f"before {task.get_name()}")

    def v2_playbook_on_stats(self, stats):
        self.left = 0
        self.boundary("end")

    def boundary(self, name):
        if not self.counts:
            return
        if self.left == 0:
            Path(os.environ["MORTAL_LOG"]).write_text(name)
            os.kill(int(os.environ["MORTAL_WORKER"]), signal.SIGKILL)
            time.sleep(60)
        self.left -= 1
