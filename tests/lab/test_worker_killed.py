"""kill -9 of the worker in the middle of ten creates and of ten deletes: nothing is lost, doubled or left behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from lab.support import ROOT, Lab, Made, eventually

COUNT = 10
DAEMON = ROOT / "var/run/skywright.pid"
RUNS = ROOT / "var/runs"


def children(parent: int) -> dict[int, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            status = path.read_text().rpartition(") ")[2].split()
            if int(status[1]) == parent:
                found[int(path.parent.name)] = (path.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def worker() -> int | None:
    serve = int(DAEMON.read_text())
    return next((pid for pid, command in children(serve).items() if "skywright.jobs.worker" in command), None)


def family(pid: int) -> set[int]:
    """The process with all below it."""
    return {pid}.union(*(family(child) for child in children(pid)))


def kill_worker_when(moment: Callable[[], Any], what: str) -> None:
    """Kill the worker at *moment*; the run that it leaves must end at once, and another worker come."""
    eventually(moment, 30, what)
    old = worker()
    assert old is not None
    processes = family(old)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: not [pid for pid in processes if lives(pid)], 5, "nothing of the old worker lives")
    eventually(lambda: worker() not in (None, old), 10, "there is a new worker")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def running(cloud: Connection, servers: list[Any]) -> bool:
    """Whether a run has begun that carries jobs of these servers."""
    ids = {server.id for server in servers}
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    jobs = cloud.session.get(f"{api}/jobs", params={"state": "running"}).json()["jobs"]
    return any(row["id"] in ids for job in jobs for row in job["resources"])


def there(lab: Lab, servers: list[Any]) -> int:
    """How many of the servers have a domain."""
    return sum(server.id in lab[name].domains() for name in lab.hosts for server in servers)


def test_ten_servers_survive_a_worker_that_is_killed_twice(cloud: Connection, made: Made, lab: Lab) -> None:
    network = made.network()
    servers = [made.server([network]) for _ in range(COUNT)]
    kill_worker_when(lambda: running(cloud, servers), "a run has begun")
    kill_worker_when(lambda: there(lab, servers), "a domain is defined")
    active = made.active(*servers, seconds=90)

    hosts = {name: host.domains() for name, host in lab.hosts.items()}
    for server in active:
        holders = [name for name, domains in hosts.items() if server.id in domains]
        assert holders == [server.compute_host] and hosts[holders[0]][server.id] != "-"
        disks = [name for name, host in lab.hosts.items() if server.id in host.run("ls /var/lib/skywright/servers")]
        assert disks == holders
    assert len({server.private_v4 or next(iter(server.addresses.values()))[0]["addr"] for server in active}) == COUNT
    entries = lab["host1"].run(f"grep -c . /var/lib/skywright/dhcp/{network.id}/hosts")
    assert int(entries) == COUNT
    ports = {port.id[:11] for server in servers for port in cloud.network.ports(device_id=server.id)}
    taps = [line for line in lab.traces([network.id]) if " port " in line and "tap" in line]
    assert len(taps) == len(ports) == COUNT
    assert_nothing_runs(lab)

    for server in servers:
        cloud.compute.delete_server(server)
    kill_worker_when(lambda: running(cloud, servers), "a run has begun")
    kill_worker_when(lambda: there(lab, servers) < COUNT, "a domain is gone")
    made.delete(*servers)
    made.assert_no_traces(made.needles - {network.id[:11]}, seconds=5)
    assert_nothing_runs(lab)


def assert_nothing_runs(lab: Lab) -> None:
    """Of runs nothing but their records, and no module on a host."""
    eventually(lambda: not unfinished_runs(), 10, "no run's directory is left")
    eventually(lambda: not modules(lab), 10, "no module runs on a host")


def unfinished_runs() -> list[Path]:
    # A worker that was killed while it cleared away another's run leaves the lock, by which the next hour finds it.
    return [path for path in RUNS.glob("*/*") if path.name not in ("record.json", "lock")]


def modules(lab: Lab) -> list[str]:
    return [found for host in lab.hosts.values() if (found := host.run("pgrep -f '[A]nsiballZ'", check=False))]
