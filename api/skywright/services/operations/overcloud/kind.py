"""Jobs of overclouds: runs with the overcloud's own inventory, which is made from its plan.

Its hosts are registered like others, in a group of their own: jobs do not use unreachable ones, and they are observed,
but they get no resources of this cloud.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db import utcnow
from skywright.db.jobs import Event, Host, Job
from skywright.db.overcloud import Overcloud
from skywright.jobs.runs.connection import connection, known_hosts
from skywright.services.operations.overcloud.plan import Plan
from skywright.services.operations.overcloud.secrets import Unreadable, files, passwords
from skywright.settings import Settings

DEPLOY, PLAN, STATUS, RECOVER, MAINTAIN, REMOVE = (
    "overcloud",
    "overcloud_plan",
    "overcloud_status",
    "overcloud_recover",
    "overcloud_maintenance",
    "overcloud_delete",
)
NAME, WANTED, EXTRA = "overcloud", "plan", "variables"  # keys of a job's arguments
REASONS = 10
ENVELOPE = ("host", "module", "id", "changed")


class OvercloudKind:
    """Jobs of one overcloud each; every host is an item, and the end of the playbook reports its result."""

    read_only = probing = False

    def __init__(self, name: str, *, timeout_seconds: float, check: bool = False) -> None:
        self.name = self.playbook = name
        self._timeout_seconds, self._check = timeout_seconds, check

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        job, *others = jobs
        work = Work(check=self._check, timeout_seconds=self._timeout_seconds)
        work.refused = {other.id: "Another overcloud's job is next." for other in others}
        work.fail_fast.add(job.id)  # the user must learn that a host is unreachable
        overcloud = session.get(Overcloud, job.arguments[NAME])
        if overcloud is None:
            work.refused[job.id] = f"The overcloud {job.arguments[NAME]} does not exist any more."
            return work
        plan = Plan.model_validate(job.arguments.get(WANTED) or overcloud.plan)
        try:
            work.confidential = {"overcloud_secrets": passwords(core.settings, plan.name)}
        except (Unreadable, OSError) as error:
            work.refused[job.id] = f"Its passwords cannot be read: {error}"
            return work
        work.variables = {
            "overcloud_name": plan.name,
            "overcloud_virtual_address": plan.virtual_address,
            "overcloud_interface": plan.interface,
            "overcloud_files": str(files(core.settings, plan.name)),
            **job.arguments.get(EXTRA, {}),
        }
        for name in plan.hosts:
            work.items[name] = {}
            variables = {**connection_of(core.settings, plan, name), **plan.variables_of(name)}
            work.inventory[name] = plan.groups(name), variables
        work.depends[job.id] = {(name, name) for name in plan.hosts}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Set the state of the overcloud. The first failure, with its host, is the reason why the other hosts did not
        finish.
        """
        if not outcome.ok and not outcome.canceled:
            job.error = _reasons(session, job) or job.error
        overcloud = session.get(Overcloud, job.arguments[NAME])
        if overcloud is None:
            return
        if self.name in (DEPLOY, RECOVER):
            overcloud.state = "deployed" if outcome.ok else "failed"
            overcloud.deployed_at = utcnow() if outcome.ok else overcloud.deployed_at
        elif self.name == STATUS and not outcome.canceled:
            overcloud.report, overcloud.observed_at = _report(overcloud, outcome), utcnow()
        elif self.name == REMOVE and outcome.ok:
            forget(session, overcloud)
        elif self.name == REMOVE:
            overcloud.state = "failed"


def connection_of(settings: Settings, plan: Plan, name: str) -> dict[str, Any]:
    """Return the connection variables of the host *name* of *plan*."""
    host = plan.hosts[name]
    user = host.user or plan.user or "root"
    key = Path(host.key or plan.key or "")
    variables = connection(host.address, host.port, user, key, known_hosts(settings))
    return variables | ({} if user == "root" else {"ansible_become": True})


def forget(session: Session, overcloud: Overcloud) -> None:
    """Delete the records of *overcloud* and of its hosts."""
    for host in session.scalars(select(Host).where(Host.name.in_(overcloud.plan["hosts"]))):
        session.delete(host)
    session.delete(overcloud)


def _report(overcloud: Overcloud, outcome: Outcome) -> dict[str, Any]:
    """Return {host: report}; None for a host without one."""
    said: dict[str, Any] = dict.fromkeys(overcloud.plan["hosts"])
    for result in outcome.results:
        said[result["host"]] = {key: value for key, value in result.items() if key not in ENVELOPE}
    return said


def _reasons(session: Session, job: Job) -> str:
    query = select(Event).where(Event.run_id == job.run_id).order_by(Event.counter)
    kinds = ("runner_on_failed", "runner_on_unreachable")
    events = session.scalars(query.where(Event.kind.in_(kinds))).all()
    return "; ".join(list(dict.fromkeys(_texts(events)))[:REASONS])


def _texts(events: Iterable[Event]) -> Iterable[str]:
    for event in events:
        if event.data.get("ignored"):
            continue
        errors = [item["error"] for item in event.data.get("items", []) if item.get("error")]
        if event.kind == "runner_on_unreachable":
            yield f"{event.host} is unreachable: {event.data.get('message')}"
        for text in errors or [event.data.get("message")] * (event.kind == "runner_on_failed"):
            yield f"{event.host}: {event.task}: {text}"


OVERCLOUD_KINDS = (
    OvercloudKind(DEPLOY, timeout_seconds=7200.0),
    OvercloudKind(PLAN, timeout_seconds=3600.0, check=True),
    OvercloudKind(STATUS, timeout_seconds=300.0),
    OvercloudKind(RECOVER, timeout_seconds=7200.0),
    OvercloudKind(MAINTAIN, timeout_seconds=600.0),
    OvercloudKind(REMOVE, timeout_seconds=1800.0),
)
