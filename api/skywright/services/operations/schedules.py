"""`/v1/schedules`: requests that are repeated at certain times, with the rights that their owner has at that time."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import orjson
from pydantic import Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.db import isoformat, utcnow
from skywright.db.jobs import UNFINISHED, Job
from skywright.db.schedules import Schedule, ScheduleRun
from skywright.http import BadRequest, Context, Forbidden, Router
from skywright.http.bodies import Json, Omittable, Strict
from skywright.http.policy import on_target
from skywright.redact import without_secrets
from skywright.services.operations.automation import schedules
from skywright.services.operations.automation.timetable import BadTime, next_time
from skywright.services.operations.listing import numbered_page, page
from skywright.services.operations.plan import URL_PATH, HeaderName, HeaderValue
from skywright.services.operations.playbooks import PlaybookName, RunRequest, check_run

router = Router()

MOST = 50  # of a project
# A schedule must not create schedules.
NEVER = frozenset({"plan", "schedules", "webhooks"})

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
Cron = Annotated[str, StringConstraints(pattern=r"^[!-~ ]{1,255}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]


class ScheduledRequest(Strict):
    """As in a plan: `path` is below the service's URL, and may include a query."""

    service: str = Field(max_length=64)
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(max_length=2048)
    body: Json = None
    headers: dict[HeaderName, HeaderValue] = Field({}, max_length=3)


class ScheduledPlaybook(RunRequest):
    """An operator playbook, with its variables and hosts."""

    name: PlaybookName


class NewSchedule(Strict):
    name: Name
    cron: Cron
    timezone: Zone = "UTC"
    paused: bool = False
    request: Omittable[ScheduledRequest] = None
    playbook: Omittable[ScheduledPlaybook] = None


class ScheduleBody(Strict):
    schedule: NewSchedule


class ScheduleChanges(Strict):
    name: Omittable[Name] = None
    cron: Omittable[Cron] = None
    timezone: Omittable[Zone] = None
    paused: Omittable[bool] = None


class ChangesBody(Strict):
    schedule: ScheduleChanges


@router.operation("GET", "/schedules", policy=("operations:schedules:list", "operations:schedules:list_all"))
def list_schedules(context: Context) -> dict[str, Any]:
    query, order = select(Schedule), [(Schedule.created_at, True), (Schedule.id, True)]
    if not context.allows("operations:schedules:list_all"):
        query = query.where(Schedule.project_id == context.project_id)
    rows, links = page(context, query, order, scope=query, column=Schedule.id)
    return {"schedules": _views(context, rows)} | links


@router.operation("POST", "/schedules", policy=("operations:schedules:create", "operations:playbooks:run"), status=201)
def create_schedule(context: Context, body: ScheduleBody) -> dict[str, Any]:
    wanted, who = body.schedule, context.caller
    count = select(func.count()).select_from(Schedule).where(Schedule.project_id == context.project_id)
    if (context.db.scalar(count) or 0) >= MOST:
        raise Forbidden(f"Quota exceeded: a project has at most {MOST} schedules.")
    request = _request(context, wanted)
    row = Schedule(
        name=wanted.name,
        project_id=context.project_id,
        user_id=who.user_id,
        trust_id=who.trust_id,
        application_credential_id=who.application_credential_id,
        cron=wanted.cron,
        timezone=wanted.timezone,
        kind="request" if wanted.playbook is None else "playbook",
        sealed=context.cloud.secrets.seal(orjson.dumps(request)),
        shown=_shown(context, wanted),
        paused=wanted.paused,
    )
    _time(row)
    context.db.add(row)
    context.db.flush()
    return {"schedule": _views(context, [row])[0]}


@router.operation("GET", "/schedules/{schedule_id}", policy="operations:schedules:show")
def show_schedule(context: Context, schedule_id: str) -> dict[str, Any]:
    row = context.visible(Schedule, schedule_id, "Schedule")
    return {"schedule": _views(context, [row])[0]}


@router.operation("PATCH", "/schedules/{schedule_id}", policy=on_target("operations:schedules:update"))
def update_schedule(context: Context, schedule_id: str, body: ChangesBody) -> dict[str, Any]:
    """Change the times of the schedule, or pause it. Its request cannot change, because it uses its owner's rights."""
    row = _own(context, schedule_id)
    for name, value in body.schedule.model_dump(exclude_unset=True).items():
        setattr(row, name, value)
    _time(row)
    return {"schedule": _views(context, [row])[0]}


@router.operation("DELETE", "/schedules/{schedule_id}", policy=on_target("operations:schedules:update"), status=204)
def delete_schedule(context: Context, schedule_id: str) -> None:
    context.db.delete(_own(context, schedule_id))


@router.operation("GET", "/schedules/{schedule_id}/runs", policy="operations:schedules:show")
def list_runs(context: Context, schedule_id: str) -> dict[str, Any]:
    """List the runs, newest first."""
    row = context.visible(Schedule, schedule_id, "Schedule")
    query = select(ScheduleRun).where(ScheduleRun.schedule_id == row.id)
    runs, links = numbered_page(context, query, ScheduleRun.id, default=100)
    jobs = _jobs(context.db, runs)
    return {"runs": [_run(run, jobs, mine=_mine(context, row)) for run in runs]} | links


def _own(context: Context, schedule_id: str) -> Schedule:
    row = context.visible(Schedule, schedule_id, "Schedule")
    context.enforce("operations:schedules:update", {"project_id": row.project_id, "user_id": row.user_id})
    return row


def _request(context: Context, wanted: NewSchedule) -> dict[str, Any]:
    """Return the request; raise BadRequest if it can never succeed."""
    if (wanted.request is None) == (wanted.playbook is None):
        raise BadRequest("A schedule has either a request or a playbook.")
    if wanted.playbook is not None:
        context.enforce("operations:playbooks:run")
        check_run(context, wanted.playbook.name, wanted.playbook)
        body = wanted.playbook.model_dump(exclude={"name"}, exclude_unset=True)
        path = f"/playbooks/{wanted.playbook.name}/run"
        return {"service": "operations", "method": "POST", "path": path, "body": body}
    assert wanted.request is not None
    request = wanted.request.model_dump()
    path, _, query = request["path"].partition("?")
    if not URL_PATH.fullmatch(path) or not URL_PATH.fullmatch(f"/{query}"):
        raise BadRequest("The path must begin with a slash and be encoded as in a URL.")
    gateway = context.cloud.gateway
    if gateway is None or request["service"] not in gateway.prefixes:
        raise BadRequest(f"There is no service of type {request['service']!r}.")
    if request["service"] == "operations" and unquote(path).split("/")[1] in NEVER:
        raise BadRequest(f"Requests for {', '.join(sorted(NEVER))} cannot be scheduled.")
    return request


def _shown(context: Context, wanted: NewSchedule) -> dict[str, Any]:
    if wanted.playbook is not None:
        secret = check_run(context, wanted.playbook.name, wanted.playbook).secrets
        shown = {name: "***" if name in secret else value for name, value in wanted.playbook.variables.items()}
        return {"name": wanted.playbook.name, "variables": without_secrets(shown), "hosts": wanted.playbook.hosts}
    assert wanted.request is not None
    shown_request: dict[str, Any] = without_secrets(wanted.request.model_dump(exclude_unset=True))
    return shown_request


def _time(row: Schedule) -> None:
    """Return the next time of the schedule."""
    try:
        found = next_time(row.cron, row.timezone, utcnow())
    except BadTime as error:
        raise BadRequest(str(error)) from error
    row.next_at = None if row.paused else found


def _views(context: Context, rows: Sequence[Schedule]) -> list[dict[str, Any]]:
    session = context.db
    newest = (select(func.max(ScheduleRun.id)).where(ScheduleRun.schedule_id.in_([row.id for row in rows]))).group_by(
        ScheduleRun.schedule_id
    )
    runs = session.scalars(select(ScheduleRun).where(ScheduleRun.id.in_(newest))).all()
    last, jobs = {run.schedule_id: run for run in runs}, _jobs(session, runs)
    return [_view(context, row, last.get(row.id), jobs) for row in rows]


def _view(context: Context, row: Schedule, last: ScheduleRun | None, jobs: dict[str, Job]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "cron": row.cron,
        "timezone": row.timezone,
        "paused": row.paused,
        row.kind: row.shown,
        "next_run_at": isoformat(row.next_at),
        "last_run": _run(last, jobs, mine=_mine(context, row)) if last else None,
        "created_at": isoformat(row.created_at, micro=True),
    }


def _jobs(session: Session, runs: Sequence[ScheduleRun]) -> dict[str, Job]:
    ids = [job_id for run in runs for job_id in run.jobs]
    return {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(ids)))}


def _mine(context: Context, row: Schedule) -> bool:
    """Return whether the caller may see the owner's responses: other users of the project may have fewer rights."""
    return context.is_admin or row.user_id == context.caller.user_id


def _run(run: ScheduleRun, known: dict[str, Job], *, mine: bool) -> dict[str, Any]:
    """Return the state of a run: it has ended when its jobs have."""
    jobs = [known[job_id] for job_id in run.jobs if job_id in known]
    state, error = run.state, run.error
    if state == schedules.ACCEPTED:
        bad = [job for job in jobs if job.state not in (*UNFINISHED, "successful")]
        state = "running" if any(job.state in UNFINISHED for job in jobs) else "failed" if bad else "successful"
        error = next((job.error for job in bad), None)
    return {
        "id": run.id,
        "due_at": isoformat(run.due_at),
        "started_at": isoformat(run.started_at, micro=True),
        "finished_at": isoformat(run.finished_at, micro=True),
        "state": state,
        "error": error,
        "status": run.status,
        "answer": run.answer if mine else None,
        "request_id": run.request_id,
        "jobs": run.jobs,
    }
