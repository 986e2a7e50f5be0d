"""How long POST /servers takes while ten servers are being built."""

import time
from collections.abc import Iterator

from bench.measures import Context
from bench.measures.servers import MANY
from bench.stats import Row, Target

PAUSE_SECONDS = 0.05


def measure(context: Context) -> Iterator[Row]:
    """The ten are real ones; those asked for meanwhile go to a null host."""
    cloud = context.cloud
    seconds: list[float] = []
    with cloud.null_host() as null:
        for _ in range(max(2, context.rounds // 3)):
            ten = cloud.create_many(MANY)
            while _building(context, {server.id for server in ten}):
                seconds.append(cloud.create(null).seconds)
                time.sleep(PAUSE_SECONDS)
            cloud.delete_all()
    yield Row(f"POST /servers while {MANY} are being built", "s", seconds, Target(0.03))


def _building(context: Context, ids: set[str]) -> bool:
    listed = context.cloud.client.call("compute", "GET", "/servers/detail?status=BUILD").json["servers"]
    return any(server["id"] in ids for server in listed)
