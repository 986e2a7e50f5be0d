"""Kills a run's worker: before the first task if MORTAL_BOUNDARY is 0, at the end of the run otherwise."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: mortal
type: aggregate
short_description: Kill the worker
description: Kills the worker before the first task or at the end of a run.
"""


class CallbackModule(CallbackBase):
    """The worker itself watches for the boundaries between these two."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "mortal"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.counts = False

    def v2_playbook_on_start(self, playbook):
        self.counts = playbook._file_name.endswith("cloud/items.yml")

    def v2_playbook_on_task_start(self, task, is_conditional):
        if os.environ["MORTAL_BOUNDARY"] == "0":
            self.kill("before the task")

    def v2_playbook_on_stats(self, stats):
        self.kill("end")

    def kill(self, name):
        if self.counts:
            with suppress(FileExistsError), Path(os.environ["MORTAL_LOG"]).open("x") as log:
                log.write(name)  # unless the worker was killed at a result, and this run not yet
            os.kill(int(os.environ["MORTAL_WORKER"]), signal.SIGKILL)
            time.sleep(60)
