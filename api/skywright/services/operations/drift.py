"""`POST /v1/drift`: compare hosts with the records; `POST /v1/converge`: repair drift."""

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field
from sqlalchemy import or_, select

from skywright.cloud import Cloud
from skywright.db.identity import Project
from skywright.db.jobs import Host
from skywright.errors import ApiError, BadRequest, Forbidden, NotFound
from skywright.http import Context, Router
from skywright.http.admission import AdmissionLimit
from skywright.http.bodies import Strict
from skywright.http.policy import with_rules
from skywright.http.router import json_response, request_context
from skywright.jobs.drift.comparison import ComparisonFailed, Look, compare, look
from skywright.jobs.drift.model import Scope
from skywright.jobs.drift.repair import repair
from skywright.jobs.kinds import resource_kinds
from skywright.jobs.runs.launcher_client import LauncherError
from skywright.services.operations.drift_views import drift_view
from skywright.services.operations.views import job_views

router = Router()

# A comparison costs as much as a run on all hosts: one runs at a time, and few wait.
ADMISSION = AdmissionLimit(1, 8, "Too many comparisons are waiting. Try again later.")
Text = Annotated[str, Field(max_length=255)]


class DriftRequest(Strict):
    """The scope: everything that the caller may see, one host, or one project (its name or id)."""

    host: Text | None = None
    project: Text | None = None


class ConvergeRequest(DriftRequest):
    """`leftovers`: whether to remove leftovers; `recreate_disks`: whether to recreate lost disks of servers from their
    images.
    """

    leftovers: bool = True
    recreate_disks: bool = False


@router.post("/drift", response_model=None)
@with_rules(("operations:drift", "operations:drift_all"))
async def show_drift(request: Request, body: DriftRequest) -> Response:
    return json_response(await ADMISSION.run(request, _drift, request, body))


@router.post("/converge", status_code=202, response_model=None)
@with_rules(("operations:converge", "operations:converge_all"))
async def converge(request: Request, body: ConvergeRequest) -> Response:
    return json_response(await ADMISSION.run(request, _converge, request, body), 202)


def _drift(request: Request, body: DriftRequest) -> dict[str, Any]:
    with request_context(request, write=False) as context:
        cloud, scope, admin = context.cloud, _scope(context, body, "operations:drift_all"), context.is_admin
    seen = _look(cloud, scope)
    with cloud.database.read() as session:
        return drift_view(compare(session, cloud, seen), _item_kinds(cloud), admin=admin)


def _converge(request: Request, body: ConvergeRequest) -> dict[str, Any]:
    with request_context(request, write=False) as context:
        cloud, scope = context.cloud, _scope(context, body, "operations:converge_all")
    seen = _look(cloud, scope)
    with request_context(request, write=True) as context:
        drift = compare(context.db, cloud, seen)
        jobs = repair(context, drift, recreate_disks=body.recreate_disks, tidy=body.leftovers)
        context.db.flush()
        admin = context.is_admin
        return {
            "jobs": job_views(context.db, jobs, admin=admin),
            "drift": drift_view(drift, _item_kinds(cloud), admin=admin),
        }


def _item_kinds(cloud: Cloud) -> list[str]:
    return [kind.item_kind for kind in resource_kinds(cloud).values()]


def _look(cloud: Cloud, scope: Scope) -> Look:
    try:
        return look(cloud, cloud.planner, scope)
    except (LauncherError, ComparisonFailed) as error:
        raise ApiError(str(error), status=503) from error


def _scope(context: Context, body: DriftRequest, rule: str) -> Scope:
    """Return the requested scope if the caller may see it. Users without that right see their own project."""
    if not context.allows(rule):
        own = {context.project_id, context.project_id if body.project is None else _project_id(context, body.project)}
        if body.host is not None or len(own) > 1:
            context.enforce(rule)
        return Scope(project_id=context.project_id)
    if body.host is not None:
        host = context.db.get(Host, body.host)
        if host is None:
            raise NotFound.of("Host", body.host)
        if host.is_null:
            raise BadRequest(f"Host {host.name} is a null host: it stores nothing that could differ.")
        if host.in_overcloud:
            raise BadRequest(f"Host {host.name} is an overcloud's: its contents are recorded in that cloud.")
    return Scope(body.host, _project_id(context, body.project) if body.project is not None else None)


def _project_id(context: Context, project: str) -> str:
    """Return the only project with this id or name."""
    query = select(Project.id).where(or_(Project.id == project, Project.name == project))
    found = context.db.scalars(query.limit(2)).all()
    if len(found) != 1:
        # Users must not learn which other projects exist.
        raise NotFound.of("Project", project) if context.is_admin else Forbidden()
    return found[0]
