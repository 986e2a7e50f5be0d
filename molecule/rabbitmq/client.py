"""Publish to a quorum queue with confirms, or consume from it, as Skywright's processes do.

client.py publish|consume TEXT URL[;URL...]; retries for 30 seconds
"""

import sys
import time

from kombu.entity import Exchange, Queue
from kombu.messaging import Producer

from skywright.queue.broker import connect

QUEUE = Queue(
    "molecule", Exchange(""), routing_key="molecule", durable=True, queue_arguments={"x-queue-type": "quorum"}
)


def attempt(what: str, text: str, urls: str) -> None:
    with connect(urls) as connection, connection.channel() as channel:
        queue = QUEUE(channel)
        queue.declare()
        if what == "publish":
            Producer(channel).publish(text, exchange="", routing_key="molecule", delivery_mode=2, confirm_timeout=5)
            return
        message = queue.get()
        if message is None or message.decode() != text:
            raise LookupError(f"{message and message.decode()!r} instead of {text!r}")
        message.ack()


def main() -> None:
    what, text, urls = sys.argv[1:]
    limit = time.monotonic() + 30
    while True:
        try:
            return attempt(what, text, urls)
        except Exception as error:
            if time.monotonic() > limit:
                raise
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
