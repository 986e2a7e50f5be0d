"""Routes of what a namespace of metadata definitions holds."""

from functools import partial
from typing import Any

from sqlalchemy import delete, select

from skywright.db import utcnow
from skywright.http import BadRequest, Conflict, Context, Router
from skywright.services.image.bodies import JsonObject
from skywright.services.image.listing import Listing
from skywright.services.image.metadef_items import (
    OBJECTS,
    RESOURCE_TYPES,
    TAGS,
    Kind,
    add_item,
    checked,
    get_item,
    item_view,
    item_views,
    kind_named,
)
from skywright.services.image.metadefs import visible_namespace
from skywright.services.image.tables import MetadefItem

router = Router()
BASE = "/v2/metadefs/namespaces/{namespace}"
# Properties and associations are few, and a mapping of properties has no order: Glance does not page them either.
LISTINGS = {
    kind.plural: Listing(
        kind.plural,
        f"/v2/schemas/metadefs/{kind.plural}",
        partial(item_view, kind),
        marker=MetadefItem.name,
        sort_keys={name: getattr(MetadefItem, name) for name in ("name", "created_at", "updated_at")},
        ties=("created_at", "name"),
    )
    for kind in (OBJECTS, TAGS)
}


@router.operation("GET", f"{BASE}/resource_types", policy="image:metadefs:read")
def list_associations(context: Context, namespace: str) -> dict[str, Any]:
    return _listed(context, namespace, RESOURCE_TYPES)


@router.operation("POST", f"{BASE}/resource_types", policy="image:metadefs:write", status=201)
def create_association(context: Context, namespace: str, body: JsonObject) -> dict[str, Any]:
    row = add_item(context, visible_namespace(context, namespace), RESOURCE_TYPES, body)
    return item_view(RESOURCE_TYPES, row)


@router.operation("DELETE", f"{BASE}/resource_types/{{name}}", policy="image:metadefs:write", status=204)
def delete_association(context: Context, namespace: str, name: str) -> None:
    context.db.delete(get_item(context, visible_namespace(context, namespace), RESOURCE_TYPES, name))


@router.operation("POST", f"{BASE}/tags", policy="image:metadefs:write", status=201)
def replace_tags(context: Context, namespace: str, body: JsonObject) -> dict[str, Any]:
    tags = body.get("tags")
    if not isinstance(tags, list):
        raise BadRequest('The body must hold "tags", a list of tags.')
    row = visible_namespace(context, namespace)
    _clear(context, row.namespace, TAGS)
    return {"tags": [item_view(TAGS, add_item(context, row, TAGS, tag)) for tag in tags]}


@router.operation("POST", f"{BASE}/tags/{{name}}", policy="image:metadefs:write", status=201)
def create_tag(context: Context, namespace: str, name: str) -> dict[str, Any]:
    return item_view(TAGS, add_item(context, visible_namespace(context, namespace), TAGS, {"name": name}))


@router.operation("GET", f"{BASE}/{{plural}}", policy="image:metadefs:read")
def list_items(context: Context, namespace: str, plural: str) -> dict[str, Any]:
    return _listed(context, namespace, kind_named(plural))


@router.operation("POST", f"{BASE}/{{plural}}", policy="image:metadefs:write", status=201)
def create_item(context: Context, namespace: str, plural: str, body: JsonObject) -> dict[str, Any]:
    kind = kind_named(plural)
    return item_view(kind, add_item(context, visible_namespace(context, namespace), kind, body))


@router.operation("DELETE", f"{BASE}/{{plural}}", policy="image:metadefs:write", status=204)
def delete_items(context: Context, namespace: str, plural: str) -> None:
    kind = kind_named(plural)
    _clear(context, visible_namespace(context, namespace).namespace, kind)


@router.operation("GET", f"{BASE}/{{plural}}/{{name}}", policy="image:metadefs:read")
def show_item(context: Context, namespace: str, plural: str, name: str) -> dict[str, Any]:
    kind = kind_named(plural)
    return item_view(kind, get_item(context, visible_namespace(context, namespace), kind, name))


@router.operation("PUT", f"{BASE}/{{plural}}/{{name}}", policy="image:metadefs:write")
def update_item(context: Context, namespace: str, plural: str, name: str, body: JsonObject) -> dict[str, Any]:
    kind = kind_named(plural)
    row = get_item(context, visible_namespace(context, namespace), kind, name)
    content = checked(kind, body)
    if body["name"] != name and context.db.get(MetadefItem, (namespace, kind.plural, body["name"])) is not None:
        raise Conflict(f"A metadata definition {kind.label} {body['name']} exists already in {namespace}.")
    row.name, row.body, row.updated_at = body["name"], content, utcnow()
    return item_view(kind, row)


@router.operation("DELETE", f"{BASE}/{{plural}}/{{name}}", policy="image:metadefs:write", status=204)
def delete_item(context: Context, namespace: str, plural: str, name: str) -> None:
    kind = kind_named(plural)
    context.db.delete(get_item(context, visible_namespace(context, namespace), kind, name))


def _listed(context: Context, namespace: str, kind: Kind) -> dict[str, Any]:
    row = visible_namespace(context, namespace)
    query = select(MetadefItem).where(MetadefItem.namespace == row.namespace, MetadefItem.kind == kind.plural)
    if kind.plural in LISTINGS:
        return LISTINGS[kind.plural].page(context, query, query)
    return {kind.plural: item_views(kind, context.db.scalars(query.order_by(MetadefItem.name)).all())}


def _clear(context: Context, namespace: str, kind: Kind) -> None:
    context.db.execute(delete(MetadefItem).where(MetadefItem.namespace == namespace, MetadefItem.kind == kind.plural))
