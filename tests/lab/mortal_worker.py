"""`python mortal_worker.py N LOG`: a worker that is killed by the first run of items.yml, at its Nth task boundary.

The name of the boundary is in the file LOG then. The jobs of the run are not tried again until somebody says so.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

from skywright import worker
from skywright.jobs.engine import settle
from skywright.jobs.runs import runner

usual = runner.environment


def environment(project: Path) -> dict[str, str]:
    given = usual(project)
    callbacks = Path(__file__).parent / "callbacks"
    return {
        **given,
        "ANSIBLE_CALLBACK_PLUGINS": f"{given['ANSIBLE_CALLBACK_PLUGINS']}:{callbacks}",
        "ANSIBLE_CALLBACKS_ENABLED": "mortal",
        "MORTAL_WORKER": str(os.getpid()),
        "MORTAL_BOUNDARY": sys.argv[1],
        "MORTAL_LOG": sys.argv[2],
    }


if __name__ == "__main__":
    runner.environment = environment
    settle.BACK_OFF = timedelta(hours=1)
    worker.main()
