"""Prometheus metrics: state from the database, the same in every process, and response times of this process.

No label has the name of a user, of a project or of their resources. Tallies count the rows that retention removed, so
that counters only grow.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.db import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.db.operations import Heartbeat, Tally
from skywright.jobs.upkeep.retention import ENDED, EVENTS, FAILED, RUN_BUCKETS, RUN_SECONDS, run_times

if TYPE_CHECKING:
    from skywright.cloud import Cloud

CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# {prefix of a job's `waiting_for`: value of the label `reason`}.
REASONS = {"job ": "earlier_job", "another attempt": "retry", "host ": "host"}
FRESH_SECONDS = 1.0


class Metrics:
    """The metrics of this process."""

    def __init__(self, cloud: "Cloud") -> None:
        self._registry = CollectorRegistry()
        labels = ("service", "method", "status")
        documentation = "Response times of requests."
        self._latency = Histogram(
            "skywright_request_seconds", documentation, labels, registry=self._registry, buckets=LATENCY_BUCKETS
        )
        self._registry.register(_DatabaseCollector(cloud))
        self._lock = threading.Lock()
        self._text, self._made_at = b"", float("-inf")

    def observe_request(self, service: str, method: str, status: int, seconds: float) -> None:
        """Observe the response time of one request."""
        self._latency.labels(service, method if method in METHODS else "OTHER", str(status)).observe(seconds)

    def expire(self) -> None:
        """Read everything again at the next scrape."""
        self._made_at = float("-inf")

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format, at most one second old, so that scrapes are cheap."""
        with self._lock:
            if time.monotonic() - self._made_at > FRESH_SECONDS:
                self._text, self._made_at = generate_latest(self._registry), time.monotonic()
            return self._text


class _DatabaseCollector:
    """Collects metrics from the database at each scrape."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    def describe(self) -> Iterable[Metric]:
        return ()  # no query at registration

    def collect(self) -> Iterator[Metric]:
        with self._cloud.database.read() as session:
            tallies = _tallies(session)
            yield from _jobs(session, tallies[ENDED])
            yield from _runs(session, tallies)
            yield from _hosts(session)
            yield from _workers(session)


def _tallies(session: Session) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric, label, value in session.execute(select(Tally.metric, Tally.label, Tally.value)):
        found[metric][label] = value
    return found


def _jobs(session: Session, removed: dict[str, float]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("skywright_jobs", "Jobs that have not ended.", labels=["state"])
    ended = CounterMetricFamily("skywright_jobs_ended", "Jobs that ended.", labels=["playbook", "outcome"])
    unfinished = {"queued": 0, "running": 0}
    outcomes: dict[str, float] = defaultdict(float, removed)
    counts = select(Job.playbook, Job.state, func.count()).group_by(Job.playbook, Job.state)
    for playbook, state, number in session.execute(counts):
        if state in unfinished:
            unfinished[state] += number
        else:
            outcomes[f"{playbook} {state}"] += number
    for state, unended in unfinished.items():
        depth.add_metric([state], unended)
    for label, count in sorted(outcomes.items()):
        ended.add_metric(label.split(" "), count)
    yield depth
    yield ended
    yield from _waiting(session)


def _waiting(session: Session) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("skywright_jobs_waiting", "Queued jobs by what they wait for.", labels=["reason"])
    oldest = GaugeMetricFamily("skywright_jobs_oldest_queued_seconds", "Age of the job that waits longest.")
    reasons = dict.fromkeys((*REASONS.values(), "worker", "other"), 0)
    since = None
    queued = select(Job.waiting_for, func.count(), func.min(Job.created_at)).where(Job.state == "queued")
    for reason, number, first in session.execute(queued.group_by(Job.waiting_for)):
        reasons[_reason(reason)] += number
        since = min(since or first, first)
    for name, number in reasons.items():
        waiting.add_metric([name], number)
    oldest.add_metric([], (utcnow() - since).total_seconds() if since else 0)
    yield waiting
    yield oldest


def _reason(text: str | None) -> str:
    if text is None:
        return "worker"
    return next((name for start, name in REASONS.items() if text.startswith(start)), "other")


def _runs(session: Session, removed: dict[str, dict[str, float]]) -> Iterator[Metric]:
    times = HistogramMetricFamily("skywright_run_seconds", "How long runs took.", labels=["playbook"])
    events = CounterMetricFamily("skywright_events", "Events of runs.")
    failures = CounterMetricFamily("skywright_host_failures", "Runs' tasks that failed on a host.", labels=["host"])
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * (len(RUN_BUCKETS) + 2))
    for label, value in removed[RUN_SECONDS].items():
        playbook, _, column = label.rpartition(" ")
        sums[playbook][int(column)] += value
    for playbook, *numbers in session.execute(run_times()):
        sums[playbook] = [old + float(new) for old, new in zip(sums[playbook], numbers, strict=True)]
    for playbook, (total, number, *below) in sorted(sums.items()):
        buckets = [(str(float(limit)), count) for limit, count in zip(RUN_BUCKETS, below, strict=True)]
        times.add_metric([playbook], [*buckets, ("+Inf", number)], total)
    seen = session.scalar(select(func.sum(Run.events))) or 0
    events.add_metric([], seen + removed[EVENTS].get("", 0.0))
    by_host: dict[str, float] = defaultdict(float, removed[FAILED])
    for found in session.scalars(select(Run.failures).where(Run.failures.is_not(None))):
        for host, number in (found or {}).items():
            by_host[host] += number
    for host, number in sorted(by_host.items()):
        failures.add_metric([host], number)
    yield times
    yield events
    yield failures


def _hosts(session: Session) -> Iterator[Metric]:
    up = GaugeMetricFamily("skywright_host_up", "Whether the host answered the last observation.", labels=["host"])
    enabled = GaugeMetricFamily("skywright_host_enabled", "Whether the scheduler may choose the host.", labels=["host"])
    for name, state, answers in session.execute(select(Host.name, Host.state, Host.up).order_by(Host.name)):
        up.add_metric([name], answers)
        enabled.add_metric([name], state == "enabled")
    yield up
    yield enabled


def _workers(session: Session) -> Iterator[Metric]:
    seen = GaugeMetricFamily(
        "skywright_worker_seen_timestamp_seconds", "When the worker was last alive.", labels=["worker"]
    )
    runs = GaugeMetricFamily("skywright_worker_runs", "Runs of a worker at that time.", labels=["worker"])
    for row in session.scalars(select(Heartbeat).order_by(Heartbeat.worker)):
        seen.add_metric([row.worker], row.seen_at.replace(tzinfo=UTC).timestamp())
        runs.add_metric([row.worker], row.runs)
    yield seen
    yield runs
