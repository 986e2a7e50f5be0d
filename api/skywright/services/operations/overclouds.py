"""`/v1/overclouds`: highly available clouds that this cloud deploys and operates. Each operation is a job."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field
from sqlalchemy import select

from skywright.core import DELETE
from skywright.db import isoformat
from skywright.db.jobs import MAINTENANCE, OVERCLOUD, UNFINISHED, Host, Job, JobResource
from skywright.db.overcloud import Overcloud
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.bodies import Json, Strict
from skywright.jobs.engine.submit import submit
from skywright.services.operations.listing import check_parameters, page
from skywright.services.operations.overcloud.health import problems
from skywright.services.operations.overcloud.kind import (
    DEPLOY,
    EXTRA,
    MAINTAIN,
    NAME,
    PLAN,
    RECOVER,
    REMOVE,
    STATUS,
    WANTED,
    connection_of,
    forget,
)
from skywright.services.operations.overcloud.plan import BadPlan, HostName, Plan, read
from skywright.services.operations.overcloud.secrets import files, secrets_file, vault_password
from skywright.services.operations.views import job_views
from skywright.settings import PORT

router = Router()


class PlanBody(Strict):
    """*plan*: see docs/overcloud.md."""

    plan: dict[str, Json]


class RecoverBody(Strict):
    """*without*: controllers whose database state is not needed; data that only they have is lost."""

    without: list[HostName] = Field([], max_length=10)


class MaintenanceBody(Strict):
    """*end*: use the controller again."""

    host: HostName
    end: bool = False


@router.operation("GET", "/overclouds", policy="operations:overclouds:list")
def list_overclouds(context: Context) -> dict[str, Any]:
    query = select(Overcloud)
    rows, links = page(context, query, [(Overcloud.name, True)], scope=query, column=Overcloud.name)
    return {"overclouds": [_view(context, row) for row in rows]} | links


@router.operation("GET", "/overclouds/{name}", policy="operations:overclouds:show")
def show_overcloud(context: Context, name: str) -> dict[str, Any]:
    return {"overcloud": _view(context, _overcloud(context, name))}


@router.operation("PUT", "/overclouds/{name}", policy="operations:overclouds:deploy", status=202)
def deploy_overcloud(context: Context, name: str, body: PlanBody) -> dict[str, Any]:
    """Deploy the plan, or apply its changes to the deployed overcloud."""
    plan = _plan(name, body)
    overcloud = _registered(context, plan)
    _refuse_removals(overcloud, plan)
    gone = set(overcloud.plan["hosts"]) - plan.hosts.keys()
    for host in context.db.scalars(select(Host).where(Host.name.in_(gone))):
        context.db.delete(host)
    overcloud.plan, overcloud.state = plan.model_dump(), "deploying"
    for host_name in plan.hosts:
        host = context.db.get_one(Host, host_name)
        host.variables = {**host.variables, **connection_of(context.cloud.settings, plan, host_name)}
    return _submit(context, overcloud, DEPLOY, "deploy")


@router.operation("POST", "/overclouds/{name}/plan", policy="operations:overclouds:deploy", status=202)
def plan_overcloud(context: Context, name: str, body: PlanBody) -> dict[str, Any]:
    """Check what would prevent the plan's deployment, and what it would change. Nothing is changed."""
    plan = _plan(name, body)
    overcloud = _registered(context, plan)
    _refuse_removals(overcloud, plan)
    return _submit(context, overcloud, PLAN, "plan", {WANTED: plan.model_dump()})


@router.operation("POST", "/overclouds/{name}/status", policy="operations:overclouds:show", status=202)
def look_at_overcloud(context: Context, name: str) -> dict[str, Any]:
    """Check all services; the result is the overcloud's `report` after the job."""
    return _submit(context, _overcloud(context, name), STATUS, "status", shared=False)


@router.operation("POST", "/overclouds/{name}/recover", policy="operations:overclouds:deploy", status=202)
def recover_overcloud(context: Context, name: str, body: RecoverBody) -> dict[str, Any]:
    """Restart the overcloud after all hosts were off."""
    overcloud = _overcloud(context, name)
    if strangers := sorted(set(body.without) - set(overcloud.plan["roles"]["controllers"])):
        raise BadRequest(f"These are no controllers: {', '.join(strangers)}.")
    if overcloud.deployed_at is None:
        raise Conflict(f"Overcloud {name} was never deployed: there is nothing to recover.")
    return _submit(context, overcloud, RECOVER, "recover", {EXTRA: {"galera_recover_without": body.without}})


@router.operation("POST", "/overclouds/{name}/maintenance", policy="operations:overclouds:deploy", status=202)
def maintain_controller(context: Context, name: str, body: MaintenanceBody) -> dict[str, Any]:
    """Take a controller out of service when its current requests have ended, or put it back."""
    overcloud = _overcloud(context, name)
    if body.host not in overcloud.plan["roles"]["controllers"]:
        raise BadRequest(f"{body.host} is no controller: the overcloud's own API sets the state of computes.")
    variables = {"overcloud_host": body.host, "overcloud_maintenance": not body.end}
    return _submit(context, overcloud, MAINTAIN, "maintenance", {EXTRA: variables})


@router.operation("DELETE", "/overclouds/{name}", policy="operations:overclouds:delete", status=202)
def delete_overcloud(context: Context, name: str, *, forget_only: bool = False) -> dict[str, Any]:
    """Remove the overcloud with all its data from its hosts; *forget_only* does not change the hosts."""
    check_parameters(context)
    overcloud = _overcloud(context, name)
    if not forget_only:
        overcloud.state = "deleting"
        return _submit(context, overcloud, REMOVE, DELETE)
    if _is_busy(context, name):
        raise Conflict(f"Overcloud {name} has a job that has not ended.")
    forget(context.db, overcloud)
    return {}


def _submit(
    context: Context,
    overcloud: Overcloud,
    playbook: str,
    action: str,
    arguments: dict[str, Any] | None = None,
    *,
    shared: bool = True,
) -> dict[str, Any]:
    """Queue a job. Jobs that change an overcloud, and runs of a playbook, are serialized: their inventories differ."""
    resources = [(NAME, overcloud.name)] if shared else []
    job = submit(
        context, playbook, action, [*resources, ("playbook", playbook)], {NAME: overcloud.name} | (arguments or {})
    )
    job.forced = True  # the run itself checks whether its hosts are reachable
    context.db.flush()
    return {"overcloud": _view(context, overcloud), "job": job_views(context.db, [job], admin=context.is_admin)[0]}


def _plan(name: str, body: PlanBody) -> Plan:
    try:
        plan = read(body.plan)
    except BadPlan as error:
        raise BadRequest(f"Invalid plan: {error}.") from error
    if plan.name != name:
        raise BadRequest("Invalid plan: name: it is not the overcloud's.")
    return plan


def _registered(context: Context, plan: Plan) -> Overcloud:
    """Store the overcloud, and register all hosts of *plan*."""
    overcloud = context.db.get(Overcloud, plan.name)
    if overcloud is None:
        overcloud = Overcloud(name=plan.name, state="planned")
        context.db.add(overcloud)
    if overcloud.state == "planned":
        overcloud.plan = plan.model_dump()
    others = select(Overcloud).where(Overcloud.name != plan.name)
    owners = dict.fromkeys(overcloud.plan["hosts"], plan.name)
    owners |= {host: row.name for row in context.db.scalars(others) for host in row.plan["hosts"]}
    known = {host.name: host for host in context.db.scalars(select(Host))}
    for name in [name for name, host in known.items() if host.in_overcloud and name not in owners]:
        context.db.delete(known.pop(name))  # it was only in plans that were never deployed
    clashes = list(_clashes(plan, known, owners))
    if clashes:
        raise Conflict(f"The plan cannot be applied: {'; '.join(clashes)}.")
    for name in plan.hosts.keys() - known.keys():
        variables = connection_of(context.cloud.settings, plan, name)
        context.db.add(Host(name=name, groups=[OVERCLOUD], variables=variables))
    context.db.flush()
    return overcloud


def _clashes(plan: Plan, known: dict[str, Host], owners: dict[str, str]) -> Iterator[str]:
    addresses = {host.variables.get("ansible_host"): host for host in known.values()}
    for name, wanted in plan.hosts.items():
        there, elsewhere = known.get(name), addresses.get(wanted.address)
        if owners.get(name, plan.name) != plan.name:
            yield f"{name} is a host of overcloud {owners[name]}"
        elif there is not None and not there.in_overcloud:
            yield f"there is another host {name} in this cloud already"
        elif there is not None and there.state == MAINTENANCE:
            yield f"host {name} is in maintenance"
        if elsewhere is not None and owners.get(elsewhere.name) != plan.name:
            yield f"{wanted.address} is also the address of host {elsewhere.name}"


def _refuse_removals(overcloud: Overcloud, plan: Plan) -> None:
    """Refuse to remove controllers: a controller's data cannot be restored, so it can only be replaced."""
    if overcloud.deployed_at is None:
        return
    gone = sorted(set(overcloud.plan["roles"]["controllers"]) - set(plan.roles.controllers))
    if gone:
        advice = "To replace a dead one, give its name another address."
        raise Conflict(f"Controllers cannot be removed: {', '.join(gone)}. {advice}")


def _is_busy(context: Context, name: str) -> bool:
    mine = select(JobResource.job_sequence).where(JobResource.resource_type == NAME, JobResource.resource_id == name)
    query = select(Job.id).where(Job.sequence.in_(mine), Job.state.in_(UNFINISHED))
    return context.db.scalar(query.limit(1)) is not None


def _ports(context: Context) -> dict[str, int]:
    """An overcloud has the same API services as this cloud."""
    gateway = context.cloud.gateway
    return {"skywright": PORT, **(gateway.ports if gateway else {})}


def _overcloud(context: Context, name: str) -> Overcloud:
    overcloud = context.db.get(Overcloud, name)
    if overcloud is None:
        raise NotFound.of("Overcloud", name)
    return overcloud


def _view(context: Context, row: Overcloud) -> dict[str, Any]:
    settings = context.cloud.settings
    address = row.plan["virtual_address"].partition("/")[0]
    return {
        "name": row.name,
        "state": row.state,
        "plan": row.plan,
        "report": row.report,
        "problems": None if row.report is None else problems(Plan.model_validate(row.plan), row.report),
        "observed_at": isoformat(row.observed_at, micro=True),
        "deployed_at": isoformat(row.deployed_at, micro=True),
        "created_at": isoformat(row.created_at, micro=True),
        "endpoints": {name: f"https://{address}:{port}" for name, port in _ports(context).items()},
        "files": {
            "clouds_yaml": str(files(settings, row.name) / "clouds.yaml"),
            "secrets": str(secrets_file(settings, row.name)),
            "vault_password": str(vault_password(settings)),
        },
    }
