"""Check mode predicts the changes of a run, item by item, for every playbook of jobs.

A separate control plane without a worker uses the lab's hosts, so that the test can run each job three times: in check
mode, for real, and in check mode again, which must predict no change.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api, make_api
from lab.support import ROOT, Lab
from skywright.cli.cloud.checkout import Checkout
from skywright.db import new_uuid
from skywright.db.jobs import Host
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import settle
from skywright.jobs.engine.submit import enqueue
from skywright.jobs.runs import runner
from skywright.jobs.runs.launcher_client import Launcher
from skywright.jobs.runs.rundir import RunDirectory

GUEST_IMAGE = ROOT / "var/images/guest.qcow2"
VNI = 7_000_001  # not used by the checkout's own cloud
COMPARED = ("action", "changed", "status", "error")

Entry = tuple[str, str, str]  # host, module, item id
Answers = dict[Entry, dict[str, Any]]


class Trial:
    """A control plane whose jobs are run by the test."""

    def __init__(self, api: Api, lab: Lab, launcher: Launcher) -> None:
        self.api, self.lab, self._launcher = api, lab, launcher
        self.changed: dict[str, set[str | None]] = defaultdict(set)  # {module or kind: actions}
        self.playbooks: set[str] = set()
        self.comparing = True

    def work(self) -> None:
        """Run all queued jobs and compare the results with the prediction."""
        while True:
            with self.api.cloud.database.write() as session:
                taken = claim(session, self.api.cloud, "tests", new_uuid())
            if taken is None:
                return
            predicted = self._predict(taken)
            results = self._run(taken, check=False) if taken.hosts else Results()
            left = self._predict(taken)
            with self.api.cloud.database.write() as session:
                for job in still_claimed(session, taken.attempts):
                    settle(session, self.api.cloud, job, results.outcome(taken.work.depends[job.id]))
                    assert job.state == "successful", job.error
            if self.comparing and taken.hosts:
                self._compare(taken, predicted, answers(taken, results), left)

    def _predict(self, taken: Claim) -> Answers:
        """Return the results of check mode."""
        return answers(taken, self._run(taken, check=True)) if self.comparing and taken.hosts else {}

    def _compare(self, taken: Claim, predicted: Answers, done: Answers, left: Answers) -> None:
        assert done, f"{taken.playbook} told of no item"
        assert predicted == done, taken.playbook
        assert {key: entry for key, entry in left.items() if entry["changed"]} == {}, taken.playbook
        self.playbooks.add(taken.playbook)
        for (_host, module, _item), entry in done.items():
            self.changed[module].add(entry["action"])

    def _run(self, taken: Claim, *, check: bool) -> Results:
        cloud = self.api.cloud
        items = {"skywright_items": {name: taken.work.items.get(name, {}) for name, _, _ in taken.hosts}}
        with RunDirectory(cloud.settings.run_dir, new_uuid()) as directory:
            run = runner.Run(directory, ROOT, taken.playbook, self._launcher, check=check, timeout_seconds=300)
            results = run.execute(runner.inventory(taken.hosts), items, lambda _events: None)
        assert results.rc == 0, results.outcome(key for keys in taken.work.depends.values() for key in keys).error
        return results


def answers(taken: Claim, results: Results) -> Answers:
    """Return the result of each module for each item."""
    keys = {
        (host, item["id"])
        for host, kinds in taken.work.items.items()
        for items in (*kinds.values(), [{"id": host}])
        for item in items
    }
    return {
        (entry["host"], entry["module"], entry["id"]): {name: entry.get(name) for name in COMPARED}
        for entry in results.outcome(keys).results
    }


@pytest.fixture
def trial(lab: Lab, tmp_path: Path) -> Iterator[Trial]:
    launcher = Launcher(runner.environment(ROOT), ROOT)
    apis = make_api(tmp_path / "state", lab.facts["management_address"].split("/")[0])
    api = next(apis)
    with api.cloud.database.write() as session:
        for name, host in Checkout(ROOT).inventory().items():
            size = {"vcpus": 4, "memory_mib": 4096, "disk_gib": 20}
            session.add(Host(name=name, groups=host["groups"], variables=host["variables"], **size))
    yield Trial(api, lab, launcher)
    launcher.close()
    next(apis, None)


@pytest.fixture
def admin(trial: Trial) -> Iterator[Connection]:
    with trial.api.connect() as connection:
        yield connection


def test_check_mode_predicts_every_playbook(trial: Trial, admin: Connection, lab: Lab) -> None:
    image = admin.image.create_image(
        name="guest", disk_format="qcow2", container_format="bare", data=GUEST_IMAGE.read_bytes()
    )
    flavor = admin.compute.create_flavor(name="nano", vcpus=1, ram=128, disk=1)
    network = admin.network.create_network(name="trial", provider_network_type="vxlan", provider_segmentation_id=VNI)
    subnet = admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.77.0.0/24")
    trial.work()
    needles = {image.id, network.id[:11]}
    computes = sorted(lab.hosts)[:2]
    wanted = {"image_id": image.id, "flavor_id": flavor.id, "networks": [{"uuid": network.id}], "user_data": "Y2FuYXJ5"}
    try:
        servers = [
            admin.compute.create_server(name=f"on-{host}", availability_zone=f"nova:{host}", **wanted)
            for host in computes[:1]
        ]
        trial.work()
        # Another host joins the network, so the first one gets a peer.
        servers += [
            admin.compute.create_server(name=f"on-{host}", availability_zone=f"nova:{host}", **wanted)
            for host in computes[1:]
        ]
        trial.work()
        needles |= {server.id for server in servers}
        observe(trial, servers)
        admin.network.update_subnet(subnet, dns_nameservers=["192.0.2.53"])
        trial.work()
        for change in (
            admin.compute.stop_server,
            admin.compute.start_server,
            lambda server: admin.compute.reboot_server(server, "HARD"),
        ):
            for server in servers:
                change(server)
            trial.work()
    except BaseException:
        trial.comparing = False  # clean up only
        raise
    finally:
        for server in admin.compute.servers():
            admin.compute.delete_server(server)
        trial.work()
        admin.image.delete_image(image)
        trial.work()
        admin.network.delete_network(network)
        trial.work()
    assert lab.traces(needles) == []
    # The Molecule scenario `controller` compares the playbooks of overclouds, which need separate hosts.
    assert trial.playbooks == {"items", "host", "console"}
    # If nothing was changed, all predictions would be right.
    assert trial.changed["ovs_network"] >= {"create", "update", "delete"}
    assert trial.changed["dhcp_network"] >= {"create", "update", "delete"}
    assert trial.changed["image_cache"] >= {"create", None, "delete"}
    assert trial.changed["server_disk"] >= {"create", None}
    assert trial.changed["libvirt_domain"] >= {"create", "update", "delete"}


def observe(trial: Trial, servers: Sequence[Any]) -> None:
    """Run the playbooks that change nothing."""
    cloud = trial.api.cloud
    with cloud.database.write() as session:
        enqueue(session, cloud.queue, "host", "observe", [], {"hosts": sorted(trial.lab.hosts)[:2]})
        for server in servers:
            arguments = {"server_id": server.id, "length": 5}
            enqueue(session, cloud.queue, "console", "read", [("console", server.id)], arguments)
    trial.work()
