"""Routes of the items in namespaces of metadata definitions."""

from functools import partial
from typing import Any

from sqlalchemy import delete, select

from skywright.db import utcnow
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.fields import TRUE
from skywright.http.policy import on_target
from skywright.services.image.bodies import JsonObject
from skywright.services.image.listing import Listing
from skywright.services.image.metadef_items import (
    OBJECTS,
    PROPERTIES,
    RESOURCE_TYPES,
    TAGS,
    Kind,
    add_item,
    checked,
    get_item,
    item_view,
    item_views,
    kind_named,
    prefix_of,
    refuse_read_only,
)
from skywright.services.image.metadefs import permitted_namespace
from skywright.services.image.tables import MetadefItem, MetadefNamespace

router = Router()
BASE = "/v2/metadefs/namespaces/{namespace}"
# There are few properties and associations, and a mapping of properties has no order. Glance has no pages of them
# either.
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


@router.operation("GET", f"{BASE}/resource_types", policy=on_target("get_metadef_resource_type"))
def list_associations(context: Context, namespace: str) -> dict[str, Any]:
    return _listed(context, permitted_namespace(context, namespace), RESOURCE_TYPES)


@router.operation(
    "POST", f"{BASE}/resource_types", policy=on_target("add_metadef_resource_type_association"), status=201
)
def create_association(context: Context, namespace: str, body: JsonObject) -> dict[str, Any]:
    refuse_read_only(body)
    row = add_item(context.db, permitted_namespace(context, namespace), RESOURCE_TYPES, body)
    return item_view(RESOURCE_TYPES, row)


@router.operation(
    "DELETE",
    f"{BASE}/resource_types/{{name}}",
    policy=on_target("remove_metadef_resource_type_association"),
    status=204,
)
def delete_association(context: Context, namespace: str, name: str) -> None:
    context.db.delete(get_item(context, permitted_namespace(context, namespace), RESOURCE_TYPES, name))


@router.operation("POST", f"{BASE}/tags", policy=on_target("add_metadef_tags"), status=201)
def add_tags(context: Context, namespace: str, body: JsonObject) -> dict[str, Any]:
    """Replace the namespace's tags, or add tags if the header is `X-OpenStack-Append: True`."""
    tags = body.get("tags")
    if not isinstance(tags, list):
        raise BadRequest('The body must hold "tags", a list of tags.')
    row = permitted_namespace(context, namespace)
    if context.request.headers.get("x-openstack-append", "").lower() not in TRUE:
        _clear(context, row.namespace, TAGS)
    return {"tags": [item_view(TAGS, add_item(context.db, row, TAGS, tag)) for tag in tags]}


@router.operation("POST", f"{BASE}/tags/{{name}}", policy=on_target("add_metadef_tag"), status=201)
def create_tag(context: Context, namespace: str, name: str) -> dict[str, Any]:
    return item_view(TAGS, add_item(context.db, permitted_namespace(context, namespace), TAGS, {"name": name}))


@router.operation(
    "GET", f"{BASE}/{{plural}}", policy=on_target("get_metadef_objects", "get_metadef_properties", "get_metadef_tags")
)
def list_items(context: Context, namespace: str, plural: str) -> dict[str, Any]:
    kind = kind_named(plural)
    return _listed(context, permitted_namespace(context, namespace, f"get_metadef_{plural}"), kind)


@router.operation(
    "POST",
    f"{BASE}/{{plural}}",
    policy=on_target("add_metadef_object", "add_metadef_property", "add_metadef_tag"),
    status=201,
)
def create_item(context: Context, namespace: str, plural: str, body: JsonObject) -> dict[str, Any]:
    kind = kind_named(plural)
    refuse_read_only(body)
    return item_view(kind, add_item(context.db, permitted_namespace(context, namespace, kind.rule("add")), kind, body))


@router.operation(
    "DELETE", f"{BASE}/{{plural}}", policy=on_target("delete_metadef_namespace", "delete_metadef_tags"), status=204
)
def delete_items(context: Context, namespace: str, plural: str) -> None:
    kind = kind_named(plural)
    rules = ("delete_metadef_namespace", "delete_metadef_tags") if kind is TAGS else ("delete_metadef_namespace",)
    _clear(context, permitted_namespace(context, namespace, *rules).namespace, kind)


@router.operation(
    "GET",
    f"{BASE}/{{plural}}/{{name}}",
    policy=on_target("get_metadef_object", "get_metadef_property", "get_metadef_tag"),
)
def show_item(
    context: Context, namespace: str, plural: str, name: str, resource_type: str | None = None
) -> dict[str, Any]:
    """Show the item. The name of a property has the prefix of *resource_type* if that is given."""
    kind = kind_named(plural)
    row = permitted_namespace(context, namespace, kind.rule("get"))
    if kind is PROPERTIES and resource_type:
        prefix = prefix_of(context, row, resource_type)
        if not prefix or not name.startswith(prefix):
            raise NotFound(f"Property {name} does not start with the prefix of {resource_type}, {prefix!r}.")
        name = name.removeprefix(prefix)
    return item_view(kind, get_item(context, row, kind, name))


@router.operation(
    "PUT",
    f"{BASE}/{{plural}}/{{name}}",
    policy=on_target("modify_metadef_object", "modify_metadef_property", "modify_metadef_tag"),
)
def update_item(context: Context, namespace: str, plural: str, name: str, body: JsonObject) -> dict[str, Any]:
    kind = kind_named(plural)
    row = get_item(context, permitted_namespace(context, namespace, kind.rule("modify")), kind, name)
    refuse_read_only(body)
    content = checked(kind, body)
    if body["name"] != name and context.db.get(MetadefItem, (namespace, kind.plural, body["name"])) is not None:
        raise Conflict(f"A metadata definition {kind.label} {body['name']} exists already in {namespace}.")
    row.name, row.body, row.updated_at = body["name"], content, utcnow()
    return item_view(kind, row)


@router.operation(
    "DELETE",
    f"{BASE}/{{plural}}/{{name}}",
    policy=on_target("delete_metadef_object", "remove_metadef_property", "delete_metadef_tag"),
    status=204,
)
def delete_item(context: Context, namespace: str, plural: str, name: str) -> None:
    kind = kind_named(plural)
    row = permitted_namespace(context, namespace, kind.rule(kind.removal))
    context.db.delete(get_item(context, row, kind, name))


def _listed(context: Context, row: MetadefNamespace, kind: Kind) -> dict[str, Any]:
    query = select(MetadefItem).where(MetadefItem.namespace == row.namespace, MetadefItem.kind == kind.plural)
    if kind.plural in LISTINGS:
        return LISTINGS[kind.plural].page(context, query, query)
    return {kind.plural: item_views(kind, context.db.scalars(query.order_by(MetadefItem.name)).all())}


def _clear(context: Context, namespace: str, kind: Kind) -> None:
    context.db.execute(delete(MetadefItem).where(MetadefItem.namespace == namespace, MetadefItem.kind == kind.plural))
