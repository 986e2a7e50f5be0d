"""A worker process: `python -m skywright.worker` runs one with the settings of the environment."""

import gc
import signal
import sys
import threading

from skywright.core import Core
from skywright.db.migrate import upgrade
from skywright.jobs.worker import Worker
from skywright.log import configure
from skywright.services import registry
from skywright.settings import load

OWNED = "--owned"
KINDS = registry.kinds()


def main() -> None:
    """Run one worker until SIGTERM or SIGINT; with `--owned` also until its standard input is closed by its owner."""
    configure()
    settings = load()
    upgrade(settings.database_url)
    worker = Worker(Core(settings, KINDS))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.stop())
    if OWNED in sys.argv:
        threading.Thread(target=_stop_with_owner, args=[worker], daemon=True).start()
    gc.freeze()  # keep the garbage collector from scanning imported modules again and again
    worker.run()


def _stop_with_owner(worker: Worker) -> None:
    sys.stdin.read()
    worker.stop()


if __name__ == "__main__":
    main()
