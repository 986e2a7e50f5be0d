"""`/v1/webhooks`: URLs that get notifications when jobs end."""

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.db import isoformat
from skywright.db.jobs import FINISHED, Finished
from skywright.db.webhooks import Delivery, Webhook
from skywright.http import BadRequest, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.policy import on_target
from skywright.jobs.webhooks import announce
from skywright.jobs.webhooks.addresses import PORTS, permitted
from skywright.services.operations.automation import surveys
from skywright.services.operations.kinds.operator_playbook import KIND
from skywright.services.operations.listing import page

router = Router()

MOST = 10  # of a project

DeliveryState = Literal["pending", "delivered", "failed"]
Playbook = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_./-]{1,64}$")]


class NewWebhook(Strict):
    """Without a secret, one is generated. Only the response to this request shows it."""

    url: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,2048}$")]
    description: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,255}$")] = ""
    states: Annotated[list[Finished], Field(min_length=1, max_length=len(FINISHED))] = list(FINISHED)
    playbooks: Annotated[list[Playbook], Field(max_length=20)] = []
    secret: Annotated[str, StringConstraints(max_length=128)] | None = None
    all_projects: bool = False


class WebhookBody(Strict):
    webhook: NewWebhook


@router.operation("GET", "/webhooks", policy=("operations:webhooks:list", "operations:webhooks:all_projects"))
def list_webhooks(context: Context) -> dict[str, Any]:
    query, order = select(Webhook), [(Webhook.created_at, True), (Webhook.id, True)]
    if not context.allows("operations:webhooks:all_projects"):
        query = query.where(Webhook.project_id == context.project_id)
    rows, links = page(context, query, order, scope=query, column=Webhook.id)
    return {"webhooks": _views(context.db, rows)} | links


@router.operation(
    "POST",
    "/webhooks",
    policy=("operations:webhooks:create", "operations:webhooks:all_projects", "operations:playbooks:list"),
    status=201,
)
def create_webhook(context: Context, body: WebhookBody) -> dict[str, Any]:
    wanted = body.webhook
    project_id = None if wanted.all_projects else context.project_id
    if project_id is None:
        context.enforce("operations:webhooks:all_projects")
    _check_url(context, wanted.url)
    _check_playbooks(context, wanted.playbooks)
    secret = wanted.secret or announce.new_secret()
    key = announce.secret_bytes(secret)
    if key is None:
        raise BadRequest("A secret is whsec_ and 24 to 64 bytes in Base64; leave it out to have one made.")
    count = select(func.count()).select_from(Webhook).where(Webhook.project_id == project_id)
    if (context.db.scalar(count) or 0) >= MOST:
        raise Forbidden(f"Quota exceeded: a project has at most {MOST} webhooks.")
    row = Webhook(
        project_id=project_id,
        user_id=context.caller.user_id,
        description=wanted.description,
        url=wanted.url,
        states=sorted(set(wanted.states)),
        playbooks=sorted(set(wanted.playbooks)),
        sealed_secret=context.cloud.secrets.seal(key),
    )
    context.db.add(row)
    context.db.flush()
    return {"webhook": {**_views(context.db, [row])[0], "secret": secret}}


@router.operation("GET", "/webhooks/{webhook_id}", policy="operations:webhooks:show")
def show_webhook(context: Context, webhook_id: str) -> dict[str, Any]:
    return {"webhook": _views(context.db, [_visible(context, webhook_id)])[0]}


@router.operation("GET", "/webhooks/{webhook_id}/deliveries", policy="operations:webhooks:show")
def list_deliveries(context: Context, webhook_id: str, *, state: DeliveryState | None = None) -> dict[str, Any]:
    """List the deliveries, newest first."""
    webhook = _visible(context, webhook_id)
    query = scope = select(Delivery).where(Delivery.webhook_id == webhook.id)
    if state is not None:
        query = query.where(Delivery.state == state)
    order = [(Delivery.created_at, False), (Delivery.id, False)]
    rows, links = page(context, query, order, scope=scope, column=Delivery.id, default=100)
    return {"deliveries": [_delivery(row) for row in rows]} | links


@router.operation("DELETE", "/webhooks/{webhook_id}", policy=on_target("operations:webhooks:delete"), status=204)
def delete_webhook(context: Context, webhook_id: str) -> None:
    """Delete the webhook and its pending deliveries."""
    row = _visible(context, webhook_id)
    context.enforce("operations:webhooks:delete", {"project_id": row.project_id})
    context.db.delete(row)


def _visible(context: Context, webhook_id: str) -> Webhook:
    row = context.db.get(Webhook, webhook_id)
    if row is None or not (context.is_admin or (row.project_id and row.project_id == context.caller.project_id)):
        raise NotFound.of("Webhook", webhook_id)
    return row


def _check_playbooks(context: Context, wanted: Sequence[str]) -> None:
    """Refuse playbooks that no job can have. The operator's own exist for callers who may list them."""
    known = context.cloud.kinds.keys() - {KIND}
    if context.allows("operations:playbooks:list"):
        known |= {f"{KIND}/{name}" for name in surveys.names(context.cloud.settings.operator_dir)}
    if unknown := [name for name in wanted if name not in known]:
        raise BadRequest(f"There are no playbooks with these names: {', '.join(unknown)}.")


def _check_url(context: Context, url: str) -> None:
    """Refuse URLs that can never be used. Names are resolved, and their addresses checked, at each delivery."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadRequest(f"Invalid URL: {error}") from error
    if parts.scheme not in PORTS or not host or port == 0 or "@" in parts.netloc or parts.fragment:
        raise BadRequest(
            "The URL must be http:// or https://, name a host and a possible port, without user and fragment."
        )
    try:
        allowed = permitted(host, context.cloud.settings.webhook_network_list)
    except ValueError:
        return  # a name is allowed
    if not allowed:
        raise BadRequest(f"{ipaddress.ip_address(host)} is not a public address.")


def _views(session: Session, rows: Sequence[Webhook]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    newest = (
        select(Delivery.webhook_id, func.max(Delivery.created_at).label("at"))
        .where(Delivery.webhook_id.in_(ids))
        .group_by(Delivery.webhook_id)
        .subquery()
    )
    query = select(Delivery).join(
        newest, (newest.c.webhook_id == Delivery.webhook_id) & (newest.c.at == Delivery.created_at)
    )
    last = {delivery.webhook_id: delivery for delivery in session.scalars(query)}
    return [_view(row, last.get(row.id)) for row in rows]


def _view(row: Webhook, last: Delivery | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "description": row.description,
        "url": row.url,
        "states": row.states,
        "playbooks": row.playbooks,
        "created_at": isoformat(row.created_at, micro=True),
        "last_delivery": _delivery(last) if last else None,
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "job_id": row.job_id,
        "state": row.state,
        "attempts": row.attempts,
        "status": row.status,
        "reason": row.reason,
        "created_at": isoformat(row.created_at, micro=True),
        "next_at": isoformat(row.next_at, micro=True) if row.state == announce.PENDING else None,
        "ended_at": isoformat(row.ended_at, micro=True),
    }
