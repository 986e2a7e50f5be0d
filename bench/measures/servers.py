"""A server from POST to ACTIVE, and from DELETE to gone, next to bare.sh, by turns."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from bench.bare import Bare
from bench.cloud import Cloud
from bench.measures import Context
from bench.stats import Row, Target, ratios

MANY = 10

Round = dict[str, float]


def measure(context: Context) -> Iterator[Row]:
    with Bare(context.cloud) as bare:
        _round(context.cloud, bare, bare.computes[:1])  # warms both sides up; not counted
        hosts = islice(cycle(bare.computes), context.rounds)
        yield from _rows("one server", [_round(context.cloud, bare, [host]) for host in hosts], Target(3))
        hosts = list(islice(cycle(bare.computes), MANY))
        rounds = [_round(context.cloud, bare, hosts) for _ in range(max(3, context.rounds // 2))]
        yield from _rows(f"{MANY} servers at once", rounds, Target(2))


def _round(cloud: Cloud, bare: Bare, hosts: Sequence[str]) -> Round:
    """Both sides once. Of one server the host is given; several go where the scheduler sends them."""
    servers = cloud.create_many(len(hosts), hosts[0] if len(hosts) == 1 else None)
    times = {"post": max(server.seconds for server in servers), "api active": cloud.active(servers)}
    times["api gone"] = cloud.delete([server.id for server in servers])
    times["bare active"], made = bare.create(hosts)
    times["bare gone"] = bare.delete(made)
    return times


def _rows(what: str, rounds: Sequence[Round], target: Target) -> Iterator[Row]:
    values = {name: [times[name] for times in rounds] for name in rounds[0]}
    yield Row(f"{what}: POST, the slowest", "s", values["post"])
    for end, verb in (("active", "create to ACTIVE"), ("gone", "delete to gone")):
        api, shell = values[f"api {end}"], values[f"bare {end}"]
        yield Row(f"{what}: {verb}, API", "s", api)
        yield Row(f"{what}: {verb}, bare shell", "s", shell)
        yield Row(f"{what}: {verb}, ratio", "x", ratios(api, shell), target if end == "active" else None)
