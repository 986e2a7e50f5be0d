"""Jobs on hosts in maintenance and in quarantine."""

from jobs_fake import job
from scripted_hosts import REFUSED, ask, cloud, host, make, probe, quarantine, run, server, set_state, take, time_passes
from sqlalchemy import select, update

from skywright.cloud import Cloud
from skywright.db.jobs import Host, Job, JobResource, Run
from skywright.services.network.tables import Network, NetworkHost

__all__ = ["cloud"]

HOST_KEY_CHANGED = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed."


def test_after_some_failures_only_the_observer_tries_a_host(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="SHUTOFF")
    job_id = ask(cloud, "restore", "s", None)
    for _ in range(cloud.settings.quarantine_failures):
        run(cloud, a=REFUSED)
        time_passes(cloud, "a")
    assert host(cloud, "a").condition == "quarantined"
    claimed = take(cloud)
    assert claimed and not claimed.hosts and job(cloud, job_id).attempts == cloud.settings.quarantine_failures
    with cloud.database.read() as session:
        assert session.get(Run, claimed.run_id) is None
    probe(cloud, down=REFUSED)
    assert host(cloud, "a").failures == cloud.settings.quarantine_failures + 1
    assert take(cloud) is None
    probe(cloud)
    assert (host(cloud, "a").condition, host(cloud, "a").retry_at) == ("enabled", None)
    run(cloud)
    assert job(cloud, job_id).state == "successful"


def test_a_host_with_another_key_is_quarantined_at_once(cloud: Cloud) -> None:
    probe(cloud, down=HOST_KEY_CHANGED)
    assert host(cloud, "a").condition == "quarantined"


def test_jobs_wait_for_the_end_of_maintenance_unless_an_operator_forces_them(cloud: Cloud) -> None:
    for name in ("r", "s"):
        make(cloud, name, host="a", status="SHUTOFF")
    make(cloud, "t")
    set_state(cloud, "a", "maintenance")
    waiting, forced, new = ask(cloud, "start", "r"), ask(cloud, "delete", "s"), ask(cloud, "create", "t")
    run(cloud)
    assert (job(cloud, new).state, server(cloud, "t").host) == ("successful", "b")
    for job_id in (waiting, forced):
        held = job(cloud, job_id)
        assert (held.state, held.waiting_for) == ("queued", "host a is in maintenance")
        assert (held.attempts, held.run_id, held.started_at) == (0, None, None)
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.id == forced).values(forced=True, not_before=None))
    run(cloud)
    assert (job(cloud, forced).state, job(cloud, waiting).state) == ("successful", "queued")
    set_state(cloud, "a", "enabled")
    run(cloud)
    assert job(cloud, waiting).state == "successful"


def test_a_host_that_is_switched_off_for_maintenance_is_not_quarantined(cloud: Cloud) -> None:
    set_state(cloud, "a", "maintenance")
    for _ in range(5):
        probe(cloud, down=REFUSED)
        time_passes(cloud, "a")
    assert (host(cloud, "a").up, host(cloud, "a").condition, host(cloud, "a").failures) == (False, "maintenance", 0)


def test_an_operator_lifts_a_quarantine(cloud: Cloud) -> None:
    quarantine(cloud, "a")
    set_state(cloud, "a", "enabled")
    assert (host(cloud, "a").condition, host(cloud, "a").retry_at) == ("enabled", None)


def make_network(cloud: Cloud) -> None:
    """Make the network net, which is on both hosts."""
    with cloud.database.write() as session:
        for row in session.scalars(select(Host)):
            row.variables = {"vswitch_data_address": f"172.20.1.{1 + 'ab'.index(row.name)}/24"}
        session.add(Network(id="net", project_id="p", segmentation_id=1001))
        session.flush()
        session.add_all([NetworkHost(network_id="net", host=name) for name in "ab"])


def test_a_host_that_is_back_gets_the_peers_of_its_networks(cloud: Cloud) -> None:
    make_network(cloud)
    quarantine(cloud, "a")
    probe(cloud)
    claimed = run(cloud)
    assert [(item["id"], item["peers"]) for item in claimed.work.items["a"]["networks"]] == [("net", ["172.20.1.2"])]
    assert claimed.work.items.keys() == {"a"}


def test_an_unreachable_host_is_left_out_of_other_runs(cloud: Cloud) -> None:
    make_network(cloud)
    with cloud.database.write() as session:
        rejoin = Job(playbook="network", action="rejoin", arguments={"network_id": "net", "host": "b"})
        delete = Job(playbook="network", action="delete", arguments={"network_id": "net", "dhcp_host": "b"})
        for row in (rejoin, delete):
            row.resources = [JobResource(resource_type="network", resource_id="net")]
            session.add(row)
            session.flush()
    quarantine(cloud, "a")
    assert run(cloud).work.items.keys() == {"b"}
    take(cloud)
    assert job(cloud, delete.id).held_by == "a"
