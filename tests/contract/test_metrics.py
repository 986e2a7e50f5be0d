"""Prometheus metrics of the cloud."""

import re
from datetime import timedelta

import requests
from openstack.connection import Connection
from prometheus_client.parser import text_string_to_metric_families

from contract.conftest import Api
from skywright.app import is_private
from skywright.db import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.db.operations import Heartbeat


def samples(api: Api) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the current samples: {(name, label values in the order of their names): value}."""
    api.app.metrics.expire()
    answer = requests.get(f"{api.url}/metrics", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (row.name, tuple(value for _, value in sorted(row.labels.items()))): row.value
        for family in families
        for row in family.samples
    }


def test_metrics_from_the_database(api: Api) -> None:
    before = samples(api)
    with api.cloud.database.write() as session:
        started = utcnow() - timedelta(seconds=10)
        run = Run(playbook="server", worker="w", state="failed", started_at=started, events=7, failures={"h1": 2})
        run.finished_at = started + timedelta(seconds=4)
        session.add_all([run, Host(name="h1", up=False, state="disabled"), Heartbeat(worker="w", runs=3)])
        for state, reason in (
            ("queued", None),
            ("queued", "job 1 (server create)"),
            ("running", None),
            ("failed", None),
        ):
            session.add(Job(playbook="server", action="create", state=state, waiting_for=reason))
    after = samples(api)
    grown = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert grown["skywright_jobs", ("queued",)] == 2
    assert grown["skywright_jobs", ("running",)] == 1
    assert grown["skywright_jobs_waiting", ("worker",)] == 1
    assert grown["skywright_jobs_waiting", ("earlier_job",)] == 1
    assert grown["skywright_jobs_ended_total", ("failed", "server")] == 1
    assert grown["skywright_run_seconds_sum", ("server",)] == 4
    assert grown["skywright_run_seconds_bucket", ("5.0", "server")] == 1
    assert ("skywright_run_seconds_bucket", ("2.0", "server")) not in grown
    assert grown["skywright_events_total", ()] == 7
    assert grown["skywright_host_failures_total", ("h1",)] == 2
    assert after["skywright_host_up", ("h1",)] == 0
    assert after["skywright_host_enabled", ("h1",)] == 0
    assert after["skywright_worker_runs", ("w",)] == 3
    assert grown["skywright_worker_seen_timestamp_seconds", ("w",)] > 0


def test_requests_are_timed_by_service_method_and_status(api: Api, demo: Connection) -> None:
    demo.session.get(f"{api.url}/compute/v2.1/servers")
    demo.session.get(f"{api.url}/compute/v2.1/servers/nope", raise_exc=False)
    demo.session.request(f"{api.url}/compute/v2.1/servers", "PROPFIND", raise_exc=False)
    found = samples(api)
    assert found["skywright_request_seconds_count", ("GET", "compute", "200")] >= 1
    assert found["skywright_request_seconds_count", ("GET", "compute", "404")] >= 1
    assert found["skywright_request_seconds_count", ("OTHER", "compute", "405")] >= 1


def test_no_label_has_users_projects_or_resources(api: Api, demo: Connection) -> None:
    network = demo.network.create_network(name="tell-tale")
    text = requests.get(f"{api.url}/metrics", timeout=10).text
    for secret in (network.id, "tell-tale", demo.current_project_id, demo.current_user_id):
        assert secret not in text
    labels = set(re.findall(r"[{,](\w+)=", text))
    assert labels <= {"le", "state", "reason", "playbook", "outcome", "host", "worker", "service", "method", "status"}


def test_only_private_addresses_see_them() -> None:
    assert [is_private({"client": (address, 1)}) for address in ("127.0.0.1", "10.1.2.3", "fd00::1")] == [True] * 3
    assert [is_private({"client": (address, 1)}) for address in ("8.8.8.8", "2a00::1", "", "socket")] == [False] * 4
