"""The operations that all types of resources have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import select

from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.paging import Clause
from skywright.http.policy import AUTHENTICATED, on_target
from skywright.services.network import listing, schemas
from skywright.services.network.guard import Guard
from skywright.services.network.tables import Owned
from skywright.services.network.targets import owned

Row = TypeVar("Row", bound=Owned)


class Resource(ABC, Generic[Row]):
    """A type of resource: its own properties, and its routes."""

    name: ClassVar[str]  # network
    collection: ClassVar[str]  # networks; the path has "-" for each "_"
    label: ClassVar[str]  # Network, as in NetworkNotFound
    model: type[Row]
    create_schema: ClassVar[type[schemas.Owned]]
    update_schema: ClassVar[type[Strict]]
    filters: ClassVar[listing.Listing]
    guard: ClassVar[Guard]

    @property
    def path(self) -> str:
        return f"/v2.0/{self.collection.replace('_', '-')}"

    def visible(self, context: Context) -> Clause:
        """Return the clause for rows that the caller may see without being an administrator."""
        return self.model.project_id == context.caller.project_id

    @abstractmethod
    def views(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the attributes of *rows*, without those that all types have."""

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

    def missing(self, identifier: str) -> NotFound:
        return NotFound.of(self.label, identifier)

    def find(self, context: Context, identifier: str) -> Row:
        """Return the row if the caller may see it; raise NotFound otherwise."""
        row: Row | None = context.db.scalar(self.query(context).where(self.model.id == identifier))
        if row is None or not self.allowed(context, row):
            raise self.missing(identifier)
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
        """As `permitted`; types of resources may add conditions."""
        return self.permitted(context, identifier, item)

    def changed(self, row: Row) -> None:
        """Record that *row* was changed, in types that show it."""

    def common(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the attributes of *rows* that all types have."""
        return [{"id": row.id, "tenant_id": row.project_id, "project_id": row.project_id} for row in rows]

    def render(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        context.db.flush()
        full = [each | view for each, view in zip(self.common(context, rows), self.views(context, rows), strict=True)]
        return [self.guard.seen(context, self.target(context, row), view) for row, view in zip(rows, full, strict=True)]

    def register(self, router: Router) -> None:
        """Add the routes."""
        path, get = self.path, f"get_{self.name}"
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
        self.changed(row)
        return {self.name: self.render(context, [row])[0]}

    def remove(self, context: Context, identifier: str) -> None:
        self.delete(context, self.changeable(context, identifier))


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
