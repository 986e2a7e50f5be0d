"""`/v1/playbooks`: an operator's own playbooks, run as jobs, with variables that their surveys allow."""

from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints
from sqlalchemy import select

from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Json, Strict
from skywright.jobs.engine.submit import submit
from skywright.services.operations.automation import surveys
from skywright.services.operations.automation.surveys import BadSurvey, BadValue, NoPlaybook, Survey
from skywright.services.operations.kinds.operator_playbook import HOSTS, KIND, VARIABLES
from skywright.services.operations.listing import window
from skywright.services.operations.views import job_views

router = Router()

PlaybookName = Annotated[str, StringConstraints(pattern=surveys.NAME)]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$")]


class RunRequest(Strict):
    """*hosts*: names or groups; by default, all hosts that are neither in maintenance nor unreachable."""

    variables: dict[str, Json] = Field({}, max_length=100)
    hosts: list[HostName] = Field([], max_length=1000)


@router.operation("GET", "/playbooks", policy="operations:playbooks:list")
def list_playbooks(context: Context) -> dict[str, Any]:
    names, links = window(context, surveys.names(context.cloud.settings.operator_dir))
    return {"playbooks": [_view(context, name) for name in names]} | links


@router.operation("GET", "/playbooks/{name}", policy="operations:playbooks:list")
def show_playbook(context: Context, name: str) -> dict[str, Any]:
    return {"playbook": _view(context, name)}


@router.operation("POST", "/playbooks/{name}/run", policy="operations:playbooks:run", status=202)
def run_playbook(context: Context, name: str, body: RunRequest) -> dict[str, Any]:
    """Queue the job. Jobs of one playbook are serialized, because the playbook is their resource."""
    survey = check_run(context, name, body)
    values = survey.values(body.variables)
    # Secret variables are encrypted in the database until the run.
    arguments = {VARIABLES: context.cloud.secrets.seal(orjson.dumps(values)), HOSTS: body.hosts}
    job = submit(context, f"{KIND}/{name}", "run", [("playbook", name)], arguments)
    context.db.flush()
    return {"job": job_views(context.db, [job], admin=context.is_admin)[0]}


def check_run(context: Context, name: str, wanted: RunRequest) -> Survey:
    """Return the playbook's survey; raise BadRequest unless the variables match it."""
    survey = _survey(context, name)
    try:
        survey.values(wanted.variables)
    except BadValue as error:
        raise BadRequest(f"Invalid variables: {error}.") from error
    _check_hosts(context, wanted.hosts)
    return survey


def _check_hosts(context: Context, wanted: Iterable[str]) -> None:
    """Raise BadRequest if one of *wanted* is neither a host nor a group."""
    known: set[str] = set()
    for host in context.db.scalars(select(Host)):
        known |= {host.name, *host.groups}
    if unknown := [name for name in wanted if name not in known]:
        raise BadRequest(f"There are no hosts or groups with these names: {', '.join(unknown[:10])}.")


def _survey(context: Context, name: str) -> Survey:
    try:
        return surveys.load(context.cloud.settings.operator_dir, name)
    except NoPlaybook as error:
        raise NotFound.of("Playbook", name) from error
    except BadSurvey as error:
        raise BadRequest(f"The playbook cannot be run: {error}") from error


def _view(context: Context, name: str) -> dict[str, Any]:
    try:
        survey, mistake = _survey(context, name), None
    except BadRequest as error:
        survey, mistake = Survey(), error.message
    return {"name": name, **survey.model_dump(exclude_none=True), "error": mistake}
