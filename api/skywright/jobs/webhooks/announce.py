"""Deliveries of jobs' ends to webhooks: when each is due, and its signature.

A delivery is inserted in the transaction that ends its job. A worker takes it for a limited time (`take`). If no
outcome of that attempt is recorded, the delivery is due again: each end is delivered at least once, and receivers
recognize repetitions by the id.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from skywright.backoff import Backoff
from skywright.db.base import isoformat, new_uuid
from skywright.db.jobs import Job
from skywright.db.webhooks import Delivery, Webhook

if TYPE_CHECKING:
    from skywright.auth.keyring import Keyring

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
# After this time without a recorded outcome, an attempt counts as lost.
LEASE = timedelta(minutes=2)
RETRY = Backoff(timedelta(seconds=10), timedelta(hours=1))
GIVE_UP = timedelta(hours=24)
TEXT_LIMIT = 2000

EPOCH = datetime(1970, 1, 1)
PREFIX = "whsec_"
SECRET_BYTES = 32
SECRET_SIZES = range(24, 65)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a delivery; *number* counts them."""

    delivery_id: str
    webhook_id: str
    number: int
    url: str
    body: str
    secret: bytes = field(repr=False)


def announce(session: Session, job: Job) -> None:
    """Insert deliveries of the end of *job* for all webhooks that select it."""
    mine = or_(Webhook.project_id.is_(None), Webhook.project_id == job.project_id)
    for webhook in session.scalars(select(Webhook).where(mine)):
        if _selects(webhook, job):
            delivery_id = new_uuid()
            session.add(Delivery(id=delivery_id, webhook_id=webhook.id, job_id=job.id, body=_body(job)))


def take(session: Session, keys: "Keyring", most: int, busy: Collection[str], now: datetime) -> list[Attempt]:
    """Take at most *most* due deliveries, one for each webhook that is not *busy*; the longest wait comes first."""
    due = select(Delivery.webhook_id).where(Delivery.state == PENDING, Delivery.next_at <= now)
    waiting = select(Webhook).where(Webhook.id.in_(due), Webhook.id.not_in(busy))
    webhooks = session.scalars(waiting.order_by(func.coalesce(Webhook.attempted_at, EPOCH)).limit(most)).all()
    return [_take(session, keys, webhook, now) for webhook in webhooks]


def _take(session: Session, keys: "Keyring", webhook: Webhook, now: datetime) -> Attempt:
    mine = select(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.state == PENDING, Delivery.next_at <= now)
    delivery = session.scalars(mine.order_by(Delivery.next_at).limit(1)).one()
    delivery.attempts += 1
    delivery.next_at = now + LEASE
    webhook.attempted_at = now
    secret = keys.open(webhook.sealed_secret) or b""  # sealed with another key: the receiver will refuse the signature
    return Attempt(delivery.id, webhook.id, delivery.attempts, webhook.url, delivery.body, secret)


def record_outcome(session: Session, attempt: Attempt, status: int | None, reason: str | None, now: datetime) -> None:
    """Record the outcome of *attempt*: without a *reason* it was delivered. If another attempt has begun since, its own
    outcome counts.
    """
    delivery = session.get(Delivery, attempt.delivery_id)
    if delivery is None or delivery.state != PENDING or delivery.attempts != attempt.number:
        return
    delivery.status, delivery.reason = status, reason and reason[:255]
    if reason is None:
        delivery.state, delivery.ended_at = DELIVERED, now
        return
    delivery.next_at = now + RETRY.pause(attempt.number - 1)
    if delivery.next_at - delivery.created_at > GIVE_UP:
        delivery.state, delivery.ended_at = FAILED, now


def headers(attempt: Attempt, now: datetime) -> dict[str, str]:
    """Return the headers of the Standard Webhooks specification: id, timestamp and signature."""
    timestamp = str(int((now - EPOCH).total_seconds()))
    return {
        "Content-Type": "application/json",
        "User-Agent": "Skywright",
        "webhook-id": attempt.delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature(attempt.secret, attempt.delivery_id, timestamp, attempt.body)}",
    }


def signature(secret: bytes, delivery_id: str, timestamp: str, body: str) -> str:
    """Return the HMAC-SHA256 of `id.timestamp.body`, in Base64."""
    signed = f"{delivery_id}.{timestamp}.{body}".encode()
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def new_secret() -> str:
    """Return a new secret in the format that users see."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secret_bytes(text: str) -> bytes | None:
    """Return the key in the secret *text*; None if it is not valid."""
    if not text.startswith(PREFIX) or not text.isascii():
        return None
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if len(key) in SECRET_SIZES else None


def _selects(webhook: Webhook, job: Job) -> bool:
    """Return whether the webhook selects the job. Jobs that no user requested, such as observations, must be selected
    by playbook.
    """
    named = job.playbook in webhook.playbooks if webhook.playbooks else job.user_id is not None
    return named and job.state in webhook.states


def _body(job: Job) -> str:
    view = {
        "id": job.id,
        "playbook": job.playbook,
        "action": job.action,
        "state": job.state,
        "error": job.error and job.error[:TEXT_LIMIT],
        "resources": [{"type": row.resource_type, "id": row.resource_id} for row in job.resources],
        "project_id": job.project_id,
        "user_id": job.user_id,
        "request_id": job.request_id,
        "attempts": job.attempts,
        "created_at": isoformat(job.created_at, micro=True),
        "started_at": isoformat(job.started_at, micro=True),
        "finished_at": isoformat(job.finished_at, micro=True),
    }
    event = {"type": "job.ended", "timestamp": view["finished_at"], "data": {"job": view}}
    return orjson.dumps(event).decode()
