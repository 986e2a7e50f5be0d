"""A server on a host that has two hundred, next to one on the same host before.

The two hundred are off: the host has their domains, disks, ports and addresses, and its processors are free. (That many
emulated guests keep two cores busy, whatever made them.)
"""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from bench.measures import Context
from bench.stats import Row, Target

CROWD = 200
BATCH = 20


def measure(context: Context) -> Iterator[Row]:
    cloud = context.cloud
    host = min(
        name
        for name, found in cloud.hosts().items()
        if "computes" in found["groups"] and found["info"].get("domains") is not None
    )
    with ExitStack() as stack:
        stack.enter_context(cloud.overcommitted(host))
        cloud.create_and_delete(host)  # brings network and image there; not counted
        empty = [cloud.create_and_delete(host) for _ in range(context.rounds)]
        image = cloud.make_image()
        stack.callback(cloud.delete_image, image)
        stack.callback(cloud.delete_all)
        for _ in range(CROWD // BATCH):
            servers = cloud.create_many(BATCH, host, image)
            cloud.active(servers)
            cloud.stop([server.id for server in servers])
        crowded = [cloud.create_and_delete(host) for _ in range(context.rounds)]
    yield Row("one server on an empty host", "s", empty)
    yield Row(f"one server on a host with {CROWD}", "s", crowded)
    yield Row(f"one server on a host with {CROWD}, ratio", "x", [median(crowded) / median(empty)], Target(1.1))
