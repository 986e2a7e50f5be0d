"""A thousand null hosts with ten thousand servers, in a database and a worker of their own, next to an empty cloud.

The servers' records are written directly. All null hosts are reached through the connection of one real host.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from sqlalchemy import select

from bench.alone import Alone
from bench.client import ApiError
from bench.cloud import NAME, Cloud, make_image, wait
from bench.measures import Context
from bench.records import running_server
from bench.stats import Row, Target
from skywright.db.jobs import Host, Job
from skywright.jobs.engine.submit import enqueue
from skywright.jobs.upkeep import observe
from skywright.services.network.tables import Address, Port

HOSTS = 1000
SERVERS = 10  # a host
NETWORKS = 100
FIRST_ADDRESS = 1000  # in the subnet: the API hands out the lowest ones


def measure(context: Context) -> Iterator[Row]:
    variables = context.cloud.null_variables()
    with ExitStack() as stack:
        full = _start(stack, context, variables, HOSTS)
        yield Row(f"observing {HOSTS} null hosts", "s", [_observe(full[0])], Target(60))
        _register(full)
        empty = _start(stack, context, variables, 1)
        _observe(empty[0])
        small, large = list[float](), list[float]()
        for _ in range(context.rounds + 1):
            small.append(empty[1].create_and_delete())
            large.append(full[1].create_and_delete())
        name = f"one server in a cloud of {HOSTS} hosts and {HOSTS * SERVERS} servers"
        yield Row("one server on a null host in an empty cloud", "s", small[1:])
        yield Row(name, "s", large[1:])
        yield Row(f"{name}, ratio", "x", [median(large[1:]) / median(small[1:])], Target(1.2))
        yield Row(f"drift of {HOSTS} null hosts", "s", [_drift(full[1])], Target(60))


Fleet = tuple[Alone, Cloud]


def _start(stack: ExitStack, context: Context, variables: dict[str, Any], hosts: int) -> Fleet:
    alone = stack.enter_context(Alone(context.root / "var", worker=True))
    make_image(alone.client, NAME)
    with alone.cloud.database.write() as session:
        rows = [Host(name=f"null{number}", groups=["computes"], variables=variables) for number in range(hosts)]
        session.add_all(rows)
    return alone, stack.enter_context(Cloud(alone.client))


def _observe(alone: Alone) -> float:
    """Observe all hosts. Return the seconds from the start of the run to its end."""
    with alone.cloud.database.write() as session:
        queued = enqueue(session, alone.cloud.queue, "host", observe.ACTION, [])
        session.flush()
        job_id = queued.id

    def job() -> Job:
        with alone.cloud.database.read() as session:
            return session.scalars(select(Job).where(Job.id == job_id)).one()

    wait(lambda: job().finished_at is not None, "not all hosts are observed", pause=1)
    done = job()
    if done.state != "successful" or done.started_at is None or done.finished_at is None:
        raise ApiError(f"the hosts were not observed: {done.error}")
    return (done.finished_at - done.started_at).total_seconds()


def _register(fleet: Fleet) -> None:
    """Write the records of servers and their ports. They are in another project than the measured servers."""
    alone, cloud = fleet
    networks = [cloud.make_network() for _ in range(NETWORKS)]
    with alone.cloud.database.write() as session:
        for number in range(HOSTS * SERVERS):
            network, subnet = networks[number % NETWORKS]
            server = running_server(alone.client, f"server-{number}", f"null{number % HOSTS}")
            high, low = divmod(FIRST_ADDRESS + number // NETWORKS, 256)
            session.add_all(
                (
                    server,
                    Port(
                        project_id=server.project_id,
                        name="",
                        network_id=network,
                        mac_address="fa:16:3e:fe:{:02x}:{:02x}".format(*divmod(number, 256)),
                        status="ACTIVE",
                        device_id=server.id,
                        device_owner="compute:nova",
                        host=server.host,
                        addresses=[Address(subnet_id=subnet, ip_address=f"10.78.{high}.{low}")],
                    ),
                )
            )


def _drift(cloud: Cloud) -> float:
    started = time.monotonic()
    cloud.admin.call("operations", "POST", "/drift", {})
    return time.monotonic() - started
