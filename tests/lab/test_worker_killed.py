"""kill -9 of the worker, between the results of a host and at any time: the final state is the same as without it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import ROOT, Lab, Made, eventually

pytestmark = pytest.mark.alone

COUNT = 5
READY, AGAIN = "a free worker", "another attempt"
DAEMON = ROOT / "var/run/skywright.pid"
RUNS = ROOT / "var/runs"
MORTAL = Path(__file__).parent / "mortal_worker.py"
# The only trace of a server's age: its guest requested its address.
PASSING = re.compile(r"/leases:")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}|fe80::[0-9a-f:]+")  # or the address that has it


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
    return next((pid for pid, command in children(serve).items() if "skywright.worker" in command), None)


def family(pid: int) -> set[int]:
    """Return the process and all its descendants."""
    return {pid}.union(*(family(child) for child in children(pid)))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def api(cloud: Connection) -> str:
    return str(cloud.session.get_endpoint(service_type="operations", interface="public"))


def jobs(cloud: Connection, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.session.get(f"{api(cloud)}/jobs", params=wanted).json()["jobs"]
    return found


@contextmanager
def worker_stopped(cloud: Connection, servers: list[Any]) -> Iterator[None]:
    """Stop the cloud's worker without a run and without the database's lock; afterwards it does the remaining jobs."""
    pid = eventually(worker, 10, "there is a worker")
    eventually(lambda: stand_still(cloud, pid), 30, "the worker is idle")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        finish(cloud, servers)


def stand_still(cloud: Connection, pid: int) -> bool:
    if jobs(cloud, state="running") or any(job["waiting_for"] == READY for job in jobs(cloud, state="queued")):
        return False
    os.kill(pid, signal.SIGSTOP)
    writes = re.search(rf"WRITE {pid} ", Path("/proc/locks").read_text())
    if writes or jobs(cloud, state="running"):
        os.kill(pid, signal.SIGCONT)
        return False
    return True


def die_at(boundary: int, log: Path) -> str:
    """Run a worker of the test until it is killed at *boundary*; return the boundary's name."""
    log.unlink(missing_ok=True)
    mortal = subprocess.Popen([sys.executable, MORTAL, str(boundary), log], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        assert mortal.wait(30) == -signal.SIGKILL
    finally:
        mortal.kill()
    return log.read_text()


def die_at_every_boundary(log: Path, ask: Callable[[int], Any]) -> list[str]:
    """Run one worker after another on the same requests, each killed one boundary later than the one before."""
    boundaries: list[str] = []
    while "end" not in boundaries:
        ask(len(boundaries))
        boundaries.append(die_at(len(boundaries), log))
    return boundaries


def finish(cloud: Connection, servers: list[Any]) -> None:
    """Let the cloud's worker run now what the killed ones left; each server has a job that was left or is done."""
    eventually(lambda: not jobs(cloud, state="running", playbook="server"), 10, "the last run is known to be over")
    left = [job for job in jobs(cloud, state="queued") if (job["waiting_for"] or "").startswith(AGAIN)]
    for job in left:
        cloud.session.post(f"{api(cloud)}/jobs/{job['id']}/force")
    assert left
    done = jobs(cloud, state="successful", playbook="server")
    assert {resource["id"] for job in left + done for resource in job["resources"]} >= {one.id for one in servers}


def footprint(made: Made, lab: Lab, server: Any) -> list[str]:
    """Return everything on the hosts of the server, without its ids and addresses."""
    ports = list(made.cloud.network.ports(device_id=server.id))
    words = {server.id: "SERVER", server.id[:11]: "SERVER", server.name: "NAME"}
    for port in ports:
        words |= {port.id: "PORT", port.id[:11]: "PORT"}
        words |= {entry["ip_address"]: "ADDRESS" for entry in port.fixed_ips}
        words |= {entry["ip_address"].replace(".", "-"): "ADDRESS" for entry in port.fixed_ips}
    pattern = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
    lines = lab.traces([server.id, *made.port_needles(server.id)])
    plain = [pattern.sub(lambda match: words[match[0]], line) for line in lines if not PASSING.search(line)]
    return sorted(re.sub(r"\d+", "N", MAC.sub("MAC", line)) for line in plain)


def assert_same(made: Made, lab: Lab, server: Any, wanted: list[str], why: str) -> None:
    end = time.monotonic() + 5
    while (found := footprint(made, lab, server)) != wanted and time.monotonic() < end:
        time.sleep(0.3)
    assert found == wanted, why


def test_a_worker_that_is_killed_at_any_boundary_has_no_effect(
    cloud: Connection, made: Made, lab: Lab, tmp_path: Path, blank: str
) -> None:
    network, log = made.network(), tmp_path / "boundary"
    (undisturbed,) = made.active(made.server([network], "host1", image_id=blank))
    wanted = footprint(made, lab, undisturbed)
    assert len(wanted) > 5
    pairs: list[list[Any]] = []  # hosts report results while a run lasts if it has more than one job

    def create_pair(_boundary: int) -> None:
        pairs.append([made.server([network], "host1", image_id=blank) for _ in range(2)])
        servers.extend(pairs[-1])

    servers: list[Any] = []
    with worker_stopped(cloud, servers):
        boundaries = die_at_every_boundary(log, create_pair)
    made.active(*servers)
    assert_kinds(boundaries, "create", "server_disk", "libvirt_domain")
    for pair, boundary in zip(pairs, boundaries, strict=True):
        for server in pair:
            assert_same(made, lab, server, wanted, f"create killed {boundary}")

    assert_nothing_runs(lab)
    needles = set(made.needles) - {network.id[:11], undisturbed.id, *made.port_needles(undisturbed.id)}

    def delete_pair(boundary: int) -> None:
        for server in pairs[boundary]:
            cloud.compute.delete_server(server)
            deleted.append(server)

    deleted: list[Any] = []
    with worker_stopped(cloud, deleted):
        boundaries = die_at_every_boundary(log, delete_pair)
    assert_kinds(boundaries, "delete", "libvirt_domain")
    made.delete(*servers)
    made.assert_no_traces(needles, seconds=5)
    assert_same(made, lab, undisturbed, wanted, "its neighbours were deleted")
    assert_nothing_runs(lab)


def assert_kinds(boundaries: list[str], action: str, *kinds: str) -> None:
    """Check that workers died before the task, at its end, and after a result of each of *kinds*."""
    wanted = {"before the task", "end", *(f"after {action} of {kind}" for kind in kinds)}
    assert wanted <= set(boundaries), boundaries


def kill_worker_when(moment: Callable[[], Any], what: str) -> None:
    """Kill the worker at *moment*; its run must end at once, and another worker must start."""
    eventually(moment, 30, what)
    old = worker()
    assert old is not None
    processes = family(old)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: not [pid for pid in processes if lives(pid)], 5, "nothing of the old worker lives")
    eventually(lambda: worker() not in (None, old), 10, "there is a new worker")


def there(lab: Lab, servers: list[Any]) -> int:
    """Return how many of the servers have a domain."""
    return sum(server.id in lab[name].domains() for name in lab.hosts for server in servers)


def test_servers_survive_a_worker_that_is_killed_during_a_task(
    cloud: Connection, made: Made, lab: Lab, blank: str
) -> None:
    network = made.network()
    servers = [made.server([network], image_id=blank) for _ in range(COUNT)]
    kill_worker_when(lambda: there(lab, servers), "a domain is defined")
    active = made.active(*servers, seconds=90)

    hosts = {name: host.domains() for name, host in lab.hosts.items()}
    for server in active:
        holders = [name for name, domains in hosts.items() if server.id in domains]
        assert holders == [server.compute_host] and hosts[holders[0]][server.id] != "-"
        disks = [name for name, host in lab.hosts.items() if server.id in host.run("ls /var/lib/skywright/servers")]
        assert disks == holders
    entries = lab["host1"].run(f"grep -c . /var/lib/skywright/dhcp/{network.id}/hosts")
    assert int(entries) == COUNT

    for server in servers:
        cloud.compute.delete_server(server)
    kill_worker_when(lambda: there(lab, servers) < COUNT, "a domain is gone")
    made.delete(*servers)
    made.assert_no_traces(made.needles - {network.id[:11]}, seconds=5)
    assert_nothing_runs(lab)


def assert_nothing_runs(lab: Lab) -> None:
    """Check that of runs only records are left, and that no module runs on a host."""
    eventually(lambda: not unfinished_runs(), 10, "no run's directory is left")
    eventually(lambda: not modules(lab), 10, "no module runs on a host")


def unfinished_runs() -> list[Path]:
    # A worker that is killed while it removes another's run leaves the lock file, which housekeeping removes later.
    return [path for path in RUNS.glob("*/*") if path.name not in ("record.json", "lock")]


def modules(lab: Lab) -> list[str]:
    return [found for host in lab.hosts.values() if (found := host.modules())]
