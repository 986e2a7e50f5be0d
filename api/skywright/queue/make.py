"""Make the queue of a process: RabbitMQ's if a broker is configured, else this machine's."""

from pathlib import Path

from skywright.queue.local import LocalQueue, Queue


def make_queue(broker: str, directory: Path) -> Queue:
    """Return the queue of the broker with the URL *broker*, or the queue of this machine if *broker* is empty."""
    local = LocalQueue(directory)
    if not broker:
        return local
    # Only processes with a broker load its client.
    from skywright.queue.broker import BrokerQueue  # noqa: PLC0415

    return BrokerQueue(broker, local)
