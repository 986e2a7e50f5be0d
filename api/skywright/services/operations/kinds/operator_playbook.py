"""Operator playbooks: `operator/NAME` runs NAME.yml of the configured directory, with the job's variables."""

from collections.abc import Sequence

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db.jobs import Event, Host, Job
from skywright.services.operations.automation import surveys

KIND = "operator"
VARIABLES, HOSTS = "variables", "hosts"  # keys of a job's arguments; the variables are encrypted
LOCALHOST = "localhost"


class OperatorKind:
    """Jobs of one playbook each; every selected host is an item, and the end of the playbook reports its result."""

    name = playbook = KIND
    read_only = probing = False

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        job, *others = jobs
        work = Work(refused={other.id: "Another job of this playbook is next." for other in others})
        work.fail_fast.add(job.id)  # an operator's playbook must not start unexpectedly later
        name = job.playbook.partition("/")[2]
        values = core.secrets.open(job.arguments[VARIABLES])
        directory = core.settings.operator_dir
        try:
            survey = surveys.load(directory, name)
        except (surveys.NoPlaybook, surveys.BadSurvey) as error:
            work.refused[job.id] = f"The playbook cannot be run: {error}"
            return work
        hosts = _hosts(session, job.arguments[HOSTS])
        if values is None or not hosts:
            reason = "Its variables were encrypted with another key" if values is None else "There is no such host"
            work.refused[job.id] = f"{reason}."
            return work
        for variable, value in orjson.loads(values).items():
            (work.confidential if variable in survey.secrets else work.variables)[variable] = value
        work.variables["skywright_playbook"] = str(directory / f"{name}.yml")
        work.items = {host: {} for host in hosts}
        work.depends[job.id] = {(host, host) for host in hosts}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Return the failure of a play on the controller, which prevented the end of the playbook on the hosts."""
        if outcome.ok or outcome.canceled:
            return
        failed = select(Event).where(Event.run_id == job.run_id, Event.host == LOCALHOST)
        for event in session.scalars(failed.order_by(Event.counter)):
            if event.kind == "runner_on_failed" and not event.data.get("ignored"):
                job.error = f"{LOCALHOST}: {event.task}: {event.data.get('message')}"


def _hosts(session: Session, wanted: list[str]) -> list[str]:
    """Return the hosts with the names, or in the groups, *wanted*.

    By default all hosts of this cloud that may be used, but no hosts of overclouds, which must not all change at once.
    """
    hosts = session.scalars(select(Host).order_by(Host.name)).all()
    if wanted:
        return [host.name for host in hosts if host.name in wanted or set(wanted) & set(host.groups)]
    own = (host for host in hosts if not host.in_overcloud)
    return [host.name for host in own if not host.is_closed and not host.retry_at]
