"""A server from POST to ACTIVE, and from DELETE to gone, next to bare.sh, by turns."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from statistics import median

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
        alone = [_round(context.cloud, bare, [host]) for host in hosts]
        yield from _rows("one server", alone, {"active": Target(1.6), "gone": Target(2)})
        hosts = list(islice(cycle(bare.computes), MANY))
        rounds = [_round(context.cloud, bare, hosts) for _ in range(max(3, context.rounds // 2))]
        yield from _rows(f"{MANY} servers at once", rounds, {"active": Target(1.3)})
        one = median(times["api active"] for times in alone)
        first = [times["api first"] / one for times in rounds]
        yield Row(f"first of {MANY} servers at once to one server, ratio", "x", first, Target(2))


def _round(cloud: Cloud, bare: Bare, hosts: Sequence[str]) -> Round:
    """Both sides once. Of one server the host is given; several go where the scheduler sends them."""
    servers = cloud.create_many(len(hosts), hosts[0] if len(hosts) == 1 else None)
    activations = cloud.activations(servers)
    times = {"post": max(server.seconds for server in servers)}
    times |= {"api first": activations[0], "api active": activations[-1]}
    times["api gone"] = cloud.delete([server.id for server in servers])
    times["bare active"], made = bare.create(hosts)
    times["bare gone"] = bare.delete(made)
    return times


def _rows(what: str, rounds: Sequence[Round], targets: Mapping[str, Target]) -> Iterator[Row]:
    values = {name: [times[name] for times in rounds] for name in rounds[0]}
    yield Row(f"{what}: POST, the slowest", "s", values["post"])
    for end, verb in (("active", "create to ACTIVE"), ("gone", "delete to gone")):
        api, shell = values[f"api {end}"], values[f"bare {end}"]
        yield Row(f"{what}: {verb}, API", "s", api)
        yield Row(f"{what}: {verb}, bare shell", "s", shell)
        yield Row(f"{what}: {verb}, ratio", "x", ratios(api, shell), targets.get(end))
