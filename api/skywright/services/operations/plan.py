"""`POST /v1/plan`: what a request would change, also on hosts, without changing anything.

The request is sent to its own service with the caller's token, in a transaction that is rolled back. Its jobs are
rendered in the same transaction. After that, without any lock, Ansible runs in check mode.
"""

import asyncio
import re
from collections.abc import MutableMapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import Request, Response
from pydantic import Field

from skywright.cloud import Cloud
from skywright.db.dry_run import DryRunDatabase
from skywright.db.jobs import Job
from skywright.errors import ApiError, BadRequest
from skywright.http import Context, Router
from skywright.http.admission import AdmissionLimit
from skywright.http.bodies import Json, Strict
from skywright.http.loopback import Answer, scope_of, send_request
from skywright.http.policy import with_rules
from skywright.http.router import json_response, request_context
from skywright.jobs.runs.draft import Draft, draft
from skywright.jobs.runs.launcher_client import LauncherError
from skywright.services.operations.plan_views import plan_view

router = Router()

ADMISSION = AdmissionLimit(2, 16, "Too many plans are waiting. Try again later.")
# In addition to the body, these headers may affect a request.
HEADERS = ("content-type", "openstack-api-version", "x-openstack-nova-api-version")
URL_PATH = re.compile(r"/[!-~]*")

HeaderName = Annotated[str, Field(pattern=rf"(?i)^({'|'.join(HEADERS)})$")]
HeaderValue = Annotated[str, Field(pattern=r"^[ -~]{0,255}$")]


class PlanRequest(Strict):
    """An OpenStack request. `path` is below the service's URL, and may include a query."""

    service: str = Field(max_length=64)
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(max_length=2048)
    body: Json = None
    headers: dict[HeaderName, HeaderValue] = Field({}, max_length=len(HEADERS))


@router.post("/plan", response_model=None)
@with_rules("operations:plan")
async def plan(request: Request, body: PlanRequest) -> Response:
    return json_response(await ADMISSION.run(request, _plan, request, body))


def _plan(request: Request, body: PlanRequest) -> dict[str, Any]:
    with request_context(request, write=False) as context:
        cloud, admin = context.cloud, context.is_admin
        scope = _scope(context, body)
    answer, drafts, recorded = dry_run_request(cloud, scope, b"" if body.body is None else orjson.dumps(body.body))
    try:
        runs = [(found, cloud.planner.run(found) if found.hosts else None) for found in drafts]
    except LauncherError as error:
        raise ApiError(str(error), status=503) from error
    return plan_view(answer, runs, recorded=recorded, admin=admin)


def dry_run_request(cloud: Cloud, scope: MutableMapping[str, Any], body: bytes) -> tuple[Answer, list[Draft], bool]:
    """Return the response to a request, the drafts of its runs, and whether it would change records."""
    dry_run = DryRunDatabase(cloud.database)
    dry_run_cloud = cloud.with_database(dry_run)
    scope["state"]["cloud"] = dry_run_cloud
    try:
        # Its own event loop: the request needs threads while this thread holds the write lock.
        answer = asyncio.run(send_request(cloud, scope, body))
        if dry_run.refused is not None:
            raise dry_run.refused
        if not answer.ok:
            return answer, [], False
        recorded, jobs, drafts = dry_run.wrote, dry_run.added(Job), []
        if jobs:
            with dry_run.write() as session:
                drafts = draft(session, dry_run_cloud, jobs)
        return answer, drafts, recorded
    finally:
        dry_run.roll_back()


def _scope(context: Context, body: PlanRequest) -> dict[str, Any]:
    """Return the ASGI scope of the request, as the server would make it."""
    gateway = context.cloud.gateway
    prefix = gateway.prefixes.get(body.service) if gateway and body.service != "operations" else None
    if prefix is None:
        raise BadRequest(f"There is no service of type {body.service!r} whose requests can be planned.")
    path, _, query = body.path.partition("?")
    if not URL_PATH.fullmatch(path) or not URL_PATH.fullmatch(f"/{query}"):
        raise BadRequest("The path must begin with a slash and be encoded as in a URL.")
    outer = context.request
    own = {name.lower(): value for name, value in body.headers.items()}
    kept = {name: outer.headers[name] for name in ("x-auth-token", "host") if name in outer.headers}
    headers = {"content-type": "application/json", **own, **kept}
    return scope_of(outer.scope, body.method, prefix + body.path, headers, {})
