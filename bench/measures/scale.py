"""Fifty servers at once on a null host, again and again up to a thousand; lists of one, a hundred and a thousand."""

from collections.abc import Iterator

from bench.client import Answer, ApiError
from bench.load import CLIENTS, latencies, throughput
from bench.measures import Context
from bench.stats import Row, Target

STORM = 50
SIZES = (1, 100, 1000)
LIST = "/servers/detail"


def measure(context: Context) -> Iterator[Row]:
    cloud = context.cloud
    storms: list[float] = []
    medians: dict[int, float] = {}
    with cloud.null_host() as null:
        here = 0
        for size in SIZES:
            while here < size:
                servers = cloud.create_many(min(STORM, size - here), null)
                seconds = cloud.active(servers)
                here += len(servers)
                if len(servers) == STORM:
                    storms.append(STORM / seconds)
            if (found := len(_list(context).json["servers"])) != size:
                raise ApiError(f"the list has {found} servers in place of {size}")
            row = Row(f"list of {size}: latency", "s", latencies(lambda: _list(context)))
            medians[size] = row.median
            yield row
            yield Row(f"list of {size}: throughput of {CLIENTS} clients", "/s", [throughput(lambda: _list(context))])
        yield Row(f"list of {SIZES[-1]} to list of one, ratio", "x", [medians[SIZES[-1]] / medians[1]], Target(8))
        yield Row(f"{STORM} servers at once on a null host", "/s", storms, Target(40, least=True))
        ids = [server["id"] for server in cloud.client.call("compute", "GET", LIST).json["servers"]]
        yield Row(f"deleting {len(ids)} servers", "/s", [len(ids) / cloud.delete(ids)])


def _list(context: Context) -> Answer:
    return context.cloud.client.call("compute", "GET", LIST)
