"""Work of several kinds at once on real hosts, next to each kind alone.

Twenty servers are created, twenty networks get another DNS server, twenty deleted images leave the hosts' caches. Each
needs jobs; the time is from the first request to the end of the last job. The guests halt: guests that boot would use
the processors, later than the jobs end.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from bench.cloud import Cloud, at_once
from bench.measures import Context
from bench.stats import Row, Target

MANY = 20
DNS_SERVERS = ("198.51.100.1", "198.51.100.2")
Call = Callable[[], object]


def measure(context: Context) -> Iterator[Row]:
    cloud = context.cloud
    with ExitStack() as stack:
        networks = [cloud.make_network() for _ in range(MANY)]
        for network, _ in networks:
            stack.callback(cloud.delete_network, network)
        image = cloud.make_image()
        stack.callback(cloud.delete_image, image)
        stack.callback(cloud.delete_all)
        # The hosts carry the networks: each has a server.
        cloud.active(at_once([lambda id_=id_: cloud.create(image=image, network=id_) for id_, _ in networks]))
        yield from _rows(cloud, image, [subnet for _, subnet in networks], max(3, context.rounds // 3))


def _rows(cloud: Cloud, image: str, subnets: Sequence[str], rounds: int) -> Iterator[Row]:
    kept = cloud.servers()
    kinds: dict[str, Callable[[], Sequence[Call]]] = {
        "servers": lambda: [lambda: cloud.create(image=image)] * MANY,
        "networks": lambda: _changes(cloud, subnets),
        "images": lambda: _deletions(cloud, _cached_images(cloud)),
    }
    alone: dict[str, list[float]] = {kind: [] for kind in kinds}
    together: list[float] = []
    for _ in range(rounds):
        for kind, calls in kinds.items():
            alone[kind].append(_seconds(cloud, calls()))
        together.append(_seconds(cloud, [call for calls in kinds.values() for call in calls()]))
        cloud.delete(sorted(cloud.servers() - kept))
    for kind, values in alone.items():
        yield Row(f"mixture: {MANY} {kind} alone", "s", values)
    yield Row(f"mixture: {MANY} of each together", "s", together)
    slowest = [max(times) for times in zip(*alone.values(), strict=True)]
    ratios = [both / one for both, one in zip(together, slowest, strict=True)]
    yield Row("mixture: together to the slowest alone, ratio", "x", ratios, Target(1.3))


def _seconds(cloud: Cloud, calls: Sequence[Call]) -> float:
    started = time.monotonic()
    at_once(calls)
    cloud.idle()
    return time.monotonic() - started


def _changes(cloud: Cloud, subnets: Sequence[str]) -> Sequence[Call]:
    """Requests that change each subnet's DNS server."""
    path = f"/v2.0/subnets/{subnets[0]}"
    now = cloud.client.call("network", "GET", path).json["subnet"]["dns_nameservers"]
    other = next(address for address in DNS_SERVERS if [address] != now)
    body = {"subnet": {"dns_nameservers": [other]}}
    return [lambda id_=id_: cloud.client.call("network", "PUT", f"/v2.0/subnets/{id_}", body) for id_ in subnets]


def _deletions(cloud: Cloud, images: Sequence[str]) -> Sequence[Call]:
    return [lambda id_=id_: cloud.delete_image(id_) for id_ in images]


def _cached_images(cloud: Cloud) -> list[str]:
    """Make images that are in hosts' caches and that no server uses."""
    images = [cloud.make_image() for _ in range(MANY)]
    servers = at_once([lambda image=image: cloud.create(image=image) for image in images])
    cloud.active(servers)
    cloud.delete([server.id for server in servers])
    return images
