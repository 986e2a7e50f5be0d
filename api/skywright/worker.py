"""A worker process: `python -m skywright.worker` is one with the settings of the environment."""

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
    """One worker, until SIGTERM or SIGINT; with `--owned` also until its standard input, its owner, is gone."""
    configure()
    settings = load()
    upgrade(settings.database_url)
    worker = Worker(Core(settings, KINDS))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.stop())
    if OWNED in sys.argv:
        threading.Thread(target=_stop_with_owner, args=[worker], daemon=True).start()
    gc.freeze()  # what is imported stays: the collector need not look through it whenever a claim makes many rows
    worker.run()


def _stop_with_owner(worker: Worker) -> None:
    sys.stdin.read()
    worker.stop()


if __name__ == "__main__":
    main()
