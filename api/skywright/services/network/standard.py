"""Resources with Neutron's standard attributes: descriptions, revisions, times and tags; most have names."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright.db import isoformat, utcnow
from skywright.http import ApiError, Context
from skywright.http.bodies import Strict
from skywright.services.network.resource import Resource
from skywright.services.network.tables import Described, NetworkTag, Standard

Row = TypeVar("Row", bound=Described)
STANDARD = ("id", "project_id", "name", "description", "revision_number", "created_at", "updated_at")


class StandardResource(Resource[Row]):
    """A type of resource with standard attributes."""

    def changeable(self, context: Context, identifier: str, item: Strict | None = None) -> Row:
        """As `permitted`, but also raise an error if the If-Match header does not allow the change."""
        row = self.permitted(context, identifier, item)
        check_revision(context, row)
        return row

    def changed(self, row: Row) -> None:
        touch(row)

    def common(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        tags = tags_of(context.db, [row.id for row in rows])
        return [
            each | _view(row, tags.get(row.id, []))
            for each, row in zip(super().common(context, rows), rows, strict=True)
        ]

    def remove(self, context: Context, identifier: str) -> None:
        super().remove(context, identifier)
        context.db.execute(delete(NetworkTag).where(NetworkTag.resource_id == identifier))


def check_revision(context: Context, row: Described) -> None:
    """Refuse the change if the header `If-Match: revision_number=<n>` does not have the current revision."""
    header = context.request.headers.get("if-match", "")
    _, found, wanted = header.partition("revision_number=")
    if found and wanted.strip() != str(row.revision_number):
        text = f"Constrained to {wanted.strip()[:20]}, but current revision is {row.revision_number}"
        raise ApiError(text, status=412, kind="RevisionNumberConstraintFailed")


def touch(row: Described) -> None:
    """Record that *row* was changed."""
    row.revision_number += 1
    row.updated_at = utcnow()


def tags_of(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return {id: tags} for *ids* with tags."""
    query = select(NetworkTag).where(NetworkTag.resource_id.in_(ids)).order_by(NetworkTag.tag)
    found: dict[str, list[str]] = {}
    for row in session.scalars(query):
        found.setdefault(row.resource_id, []).append(row.tag)
    return found


def standard_columns(model: Any) -> dict[str, Any]:
    """Return the columns for filters and sort keys that all types have."""
    return {name: getattr(model, name) for name in STANDARD if hasattr(model, name)}


def _view(row: Described, tags: list[str]) -> dict[str, Any]:
    return {
        **({"name": row.name} if isinstance(row, Standard) else {}),
        "description": row.description,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
        "revision_number": row.revision_number,
        "tags": tags,
    }
