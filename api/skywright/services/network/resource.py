"""The operations that networks, subnets, ports and subnet pools have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright.db import isoformat, utcnow
from skywright.http import ApiError, BadRequest, Context, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.paging import Clause
from skywright.http.policy import AUTHENTICATED, on_target
from skywright.services.network import listing, schemas
from skywright.services.network.guard import Guard
from skywright.services.network.tables import Network, NetworkTag, Port, Subnet, SubnetPool
from skywright.services.network.targets import owned

Row = TypeVar("Row", Network, Subnet, Port, SubnetPool)
STANDARD = ("id", "project_id", "name", "description", "revision_number", "created_at", "updated_at")


class Resource(ABC, Generic[Row]):
    """A type of resource: its own properties, and its routes."""

    name: ClassVar[str]  # network
    collection: ClassVar[str]  # networks
    label: ClassVar[str]  # Network, as in NetworkNotFound
    model: type[Row]
    create_schema: ClassVar[type[schemas.Owned]]
    update_schema: ClassVar[type[Strict]]
    filters: ClassVar[listing.Listing]
    guard: ClassVar[Guard]

    @abstractmethod
    def visible(self, context: Context) -> Clause:
        """Return the clause for rows that the caller may see without being an administrator."""

    @abstractmethod
    def views(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the attributes of *rows*, without those of `standard_view`."""

    @abstractmethod
    def create(self, context: Context, item: Any, project_id: str) -> Row: ...

    @abstractmethod
    def update(self, context: Context, row: Row, item: Any) -> None: ...

    @abstractmethod
    def delete(self, context: Context, row: Row) -> None: ...

    def target(self, context: Context, row: Row) -> dict[str, Any]:
        """Return the target of *row* for policy rules."""
        return owned(row.project_id)

    def deleted(self) -> Clause | None:
        """Return the clause for rows that are never shown."""
        return None

    def query(self, context: Context) -> Any:
        query = select(self.model)
        deleted = self.deleted()
        if deleted is not None:
            query = query.where(~deleted)
        return query if context.is_admin else query.where(self.visible(context))

    def find(self, context: Context, identifier: str) -> Row:
        """Return the row if the caller may see it; raise NotFound otherwise."""
        row: Row | None = context.db.scalar(self.query(context).where(self.model.id == identifier))
        if row is None or not self.allowed(context, row):
            raise NotFound.of(self.label, identifier)
        return row

    def allowed(self, context: Context, row: Row) -> bool:
        """Return whether the policy lets the caller see a row that his project can see."""
        return context.allows(f"get_{self.name}", self.target(context, row))

    def permitted(self, context: Context, identifier: str, item: Strict | None = None) -> Row:
        """Return a visible row if the route's rules allow the request with the new values in *item*; else raise
        Forbidden.
        """
        row = self.find(context, identifier)
        self.guard.authorize(context, self.target(context, row), item)
        return row

    def changeable(self, context: Context, identifier: str, item: Strict | None = None) -> Row:
        """As `_authorized`, but also raise an error if the If-Match header does not allow the change."""
        row = self.permitted(context, identifier, item)
        check_revision(context, row)
        return row

    def render(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        context.db.flush()
        tags = tags_of(context.db, [row.id for row in rows])
        views = self.views(context, rows)
        full = [
            standard_view(row) | view | {"tags": tags.get(row.id, [])} for row, view in zip(rows, views, strict=True)
        ]
        return [self.guard.seen(context, self.target(context, row), view) for row, view in zip(rows, full, strict=True)]

    def register(self, router: Router) -> None:
        """Add the routes."""
        path, get = f"/v2.0/{self.collection}", f"get_{self.name}"
        one = path + "/{identifier}"
        create = self.guard.rules("create", self.create_schema)
        update = self.guard.rules("update", self.update_schema)
        # Lists contain the rows that the policy of `get` allows, maybe none.
        router.operation("GET", path, policy=(AUTHENTICATED, get, *self.guard.seeing))(self.list_all)
        router.operation("POST", path, policy=create, status=201)(self.post)
        router.operation("GET", one, policy=on_target(get, also=self.guard.seeing))(self.show)
        router.operation("PUT", one, policy=update)(self.put)
        router.operation("DELETE", one, policy=on_target(f"delete_{self.name}"), status=204)(self.remove)

    def list_all(self, context: Context) -> dict[str, Any]:
        rows, links = self.filters.page(context, self.query(context), self.collection)
        rows = [row for row in rows if self.allowed(context, row)]
        return {self.collection: chosen(self.render(context, rows), listing.query_of(context))} | links

    def show(self, context: Context, identifier: str) -> dict[str, Any]:
        views = self.render(context, [self.find(context, identifier)])
        return {self.name: chosen(views, listing.query_of(context))[0]}

    def post(self, context: Context, body: dict[str, Any]) -> dict[str, Any]:
        items, bulk = schemas.one_or_many(self.create_schema, body, self.name, self.collection)
        views = self.render(context, [self.create(context, item, owner(context, item)) for item in items])
        return {self.collection: views} if bulk else {self.name: views[0]}

    def put(self, context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        fixed = schemas.attributes(self.create_schema) - schemas.attributes(self.update_schema)
        schemas.refuse(body.get(self.name), schemas.READ_ONLY | fixed, "Cannot update read-only attribute {}")
        item = schemas.one(self.update_schema, body, self.name)
        row = self.changeable(context, identifier, item)
        self.update(context, row, item)
        touch(row)
        return {self.name: self.render(context, [row])[0]}

    def remove(self, context: Context, identifier: str) -> None:
        row = self.changeable(context, identifier)
        context.db.execute(delete(NetworkTag).where(NetworkTag.resource_id == row.id))
        self.delete(context, row)


def chosen(views: list[dict[str, Any]], params: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return *views* with only the attributes in `fields=`."""
    names = [name for name in params.get("fields", ()) if name]
    if not names:
        return views
    return [{name: view[name] for name in names if name in view} for view in views]


def owner(context: Context, item: schemas.Owned) -> str:
    """Return the project of a new resource."""
    wanted = item.project_id or context.caller.project_id
    if wanted is None:
        raise BadRequest("The request must be scoped to a project, or name one as project_id.")
    if wanted != context.caller.project_id and not context.is_admin:
        text = "Specifying 'project_id' or 'tenant_id' other than the authenticated project requires admin privileges"
        raise BadRequest(text)
    context.check_project(wanted)
    return wanted


def check_revision(context: Context, row: Row) -> None:
    """Refuse the change if the header `If-Match: revision_number=<n>` does not have the current revision."""
    header = context.request.headers.get("if-match", "")
    _, found, wanted = header.partition("revision_number=")
    if found and wanted.strip() != str(row.revision_number):
        text = f"Constrained to {wanted.strip()[:20]}, but current revision is {row.revision_number}"
        raise ApiError(text, status=412, kind="RevisionNumberConstraintFailed")


def touch(row: Row) -> None:
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


def standard_view(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
        "revision_number": row.revision_number,
    }


def standard_columns(model: Any) -> dict[str, Any]:
    """Return the columns for filters and sort keys that all types have."""
    return {name: getattr(model, name) for name in STANDARD}
