"""Which queue a process has: the broker's, or this machine's own."""

from pathlib import Path

from skywright.queue.local import LocalQueue, Queue


def make_queue(broker: str, directory: Path) -> Queue:
    """The queue of the broker with the URL *broker*; this machine's own if there is none."""
    local = LocalQueue(directory)
    if not broker:
        return local
    # Who has no broker need not load what speaks to one.
    from skywright.queue.broker import BrokerQueue  # noqa: PLC0415

    return BrokerQueue(broker, local)
