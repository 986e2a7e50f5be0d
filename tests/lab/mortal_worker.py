"""`python mortal_worker.py N LOG`: a worker that is killed in its first run of items.yml, at its boundary N.

Boundary 0 is before the task; N is after the Nth result that a host reported while the task ran; the last one is the
end of the run. The name of the boundary is written to the file LOG. The run's jobs are not repeated automatically.
"""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from skywright import worker
from skywright.jobs.engine import settle
from skywright.jobs.runs import progress, runner

BOUNDARY, LOG = int(sys.argv[1]), Path(sys.argv[2])
usual_environment, usual_parsed = runner.environment, progress._parsed
reported: list[str] = []


def environment(project: Path) -> dict[str, str]:
    given = usual_environment(project)
    callbacks = Path(__file__).parent / "callbacks"
    return {
        **given,
        "ANSIBLE_CALLBACK_PLUGINS": f"{given['ANSIBLE_CALLBACK_PLUGINS']}:{callbacks}",
        "ANSIBLE_CALLBACKS_ENABLED": "mortal",
        "MORTAL_WORKER": str(os.getpid()),
        "MORTAL_BOUNDARY": str(BOUNDARY),
        "MORTAL_LOG": str(LOG),
    }


def parsed(line: bytes) -> dict[str, Any] | None:
    result = usual_parsed(line)
    if result is not None:
        reported.append(f"after {result['action']} of {result['kind']}")
        if len(reported) == BOUNDARY:
            LOG.write_text(reported[-1])
            os.kill(os.getpid(), signal.SIGKILL)
    return result


if __name__ == "__main__":
    runner.environment, progress._parsed = environment, parsed
    settle.BACK_OFF = timedelta(hours=1)
    worker.main()
