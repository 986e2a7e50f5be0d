"""Types of resources that RBAC policies share with other projects."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy.orm import selectinload

from skywright.http import Context
from skywright.http.paging import Clause
from skywright.services.network.resource import Resource
from skywright.services.network.sharing import is_shared, usable_by
from skywright.services.network.tables import Shareable

Row = TypeVar("Row", bound=Shareable)


class ShareableResource(Resource[Row]):
    """A type of resource with the attribute `shared`: whether it is shared with the caller's project."""

    def query(self, context: Context) -> Any:
        return super().query(context).options(selectinload(self.model.rbac_policies))

    def visible(self, context: Context) -> Clause:
        return usable_by(self.model, context.caller.project_id)

    def target(self, context: Context, row: Row) -> dict[str, Any]:
        return super().target(context, row) | {"shared": is_shared(row, context.caller.project_id)}

    def common(self, context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
        shared = [{"shared": is_shared(row, context.caller.project_id)} for row in rows]
        return [each | more for each, more in zip(super().common(context, rows), shared, strict=True)]
