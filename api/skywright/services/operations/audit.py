"""`/v1/audit`: the audit trail, as pages, or as JSON lines for archives."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from fastapi import Response
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from skywright.db import Database, isoformat
from skywright.db.identity import Project, User
from skywright.db.operations import Audit
from skywright.http import BadRequest, Context, Router, fields
from skywright.http.router import json_response
from skywright.services.operations.listing import after_number, limit_of, numbered_page

router = Router()

LINES = "application/x-ndjson"
PAGE = 500


@router.operation("GET", "/audit", policy=("operations:audit:list", "operations:audit:list_all"))
def list_records(
    context: Context,
    *,
    user: str | None = None,
    project: str | None = None,
    service: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Response:
    """List the records, newest first. JSON lines have no pages."""
    query = select(Audit)
    if not context.allows("operations:audit:list_all"):
        query = query.where(Audit.project_id == context.project_id)
    if user is not None:
        query = query.where(or_(Audit.user_id == user, Audit.user_name == user, Audit.user_id.in_(_named(User, user))))
    if project is not None:
        query = query.where(or_(Audit.project_id == project, Audit.project_id.in_(_named(Project, project))))
    if service is not None:
        query = query.where(Audit.service == service)
    if since is not None:
        query = query.where(Audit.at >= _moment("since", since))
    if until is not None:
        query = query.where(Audit.at < _moment("until", until))
    if LINES in context.request.headers.get("accept", ""):
        lines = after_number(context, query, Audit.sequence).order_by(Audit.sequence.desc())
        return StreamingResponse(_lines(context.cloud.database, lines, limit_of(context)), media_type=LINES)
    rows, links = numbered_page(context, query, Audit.sequence, default=100)
    return json_response({"audit": [_view(row) for row in rows]} | links)


def _lines(database: Database, query: Select[Audit], limit: int | None) -> Iterator[bytes]:
    """Yield one line for each record. Each page is a transaction of its own, so that a slow client blocks nothing."""
    last: int | None = None
    left = limit
    while left is None or left > 0:
        page = query if last is None else query.where(Audit.sequence < last)
        with database.read() as session:
            rows = _page(session, page, PAGE if left is None else min(PAGE, left))
        if not rows:
            return
        last = rows[-1]["id"]
        left = None if left is None else left - len(rows)
        yield b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _page(session: Session, query: Select[Audit], size: int) -> list[dict[str, Any]]:
    return [_view(row) for row in session.scalars(query.limit(size))]


def _view(row: Audit) -> dict[str, Any]:
    return {
        "id": row.sequence,
        "at": isoformat(row.at, micro=True),
        "user_id": row.user_id,
        "user_name": row.user_name,
        "project_id": row.project_id,
        "token_audit_id": row.token_audit_id,
        "address": row.address,
        "request_id": row.request_id,
        "service": row.service,
        "method": row.method,
        "path": row.path,
        "body": row.body,
        "status": row.status,
        "jobs": row.jobs,
    }


def _named(kind: type[User] | type[Project], name: str) -> Select[Any]:
    return select(kind.id).where(kind.name == name)


def _moment(name: str, text: str) -> datetime:
    try:
        return fields.moment(text)
    except ValueError:
        raise BadRequest(f"Invalid input for {name}: '{text[:64]}' is not a date and time.") from None
