"""Metadata definitions: namespaces, which all users read and administrators write."""

from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator
from sqlalchemy import or_, select, true

from skywright.db import isoformat, utcnow
from skywright.http import BadRequest, Context, Forbidden, NotFound, Router
from skywright.http.policy import AUTHENTICATED, on_target
from skywright.services.image import metadef_schemas
from skywright.services.image.bodies import JsonObject
from skywright.services.image.listing import Listing
from skywright.services.image.metadef_items import (
    KINDS,
    RESOURCE_TYPES,
    SETTABLE,
    add_namespace,
    item_views,
    prefix_of,
    prefixed,
    refuse_read_only,
)
from skywright.services.image.schemas import check
from skywright.services.image.tables import MetadefItem, MetadefNamespace, MetadefResourceType

router = Router()
READ = "get_metadef_namespace"
_namespace = Draft202012Validator(metadef_schemas.NAMESPACE)


@router.operation("GET", "/v2/schemas/metadefs/{name}", policy=AUTHENTICATED)
def show_metadef_schema(context: Context, name: str) -> dict[str, Any]:
    if name not in metadef_schemas.DOCUMENTS:
        raise NotFound(f"There is no schema metadefs/{name}.")
    return metadef_schemas.DOCUMENTS[name]


@router.operation("GET", "/v2/metadefs/resource_types", policy="list_metadef_resource_types")
def list_resource_types(context: Context) -> dict[str, Any]:
    rows = context.db.scalars(select(MetadefResourceType).order_by(MetadefResourceType.name))
    return {
        "resource_types": [
            {"name": row.name, "created_at": isoformat(row.created_at), "updated_at": isoformat(row.updated_at)}
            for row in rows
        ]
    }


@router.operation("GET", "/v2/metadefs/namespaces", policy=("get_metadef_namespaces", READ))
def list_namespaces(context: Context) -> dict[str, Any]:
    own = MetadefNamespace.project_id == context.caller.project_id
    visible = true() if context.is_admin else or_(MetadefNamespace.visibility == "public", own)
    query = scope = select(MetadefNamespace).where(visible)
    asked = context.request.query_params
    if visibility := asked.get("visibility"):
        if visibility not in ("public", "private"):
            raise BadRequest(f"Invalid visibility value: {visibility}")
        query = query.where(MetadefNamespace.visibility == visibility)
    if types := asked.get("resource_types"):
        named = MetadefItem.kind == RESOURCE_TYPES.plural, MetadefItem.name.in_(types.split(","))
        query = query.where(MetadefNamespace.namespace.in_(select(MetadefItem.namespace).where(*named)))
    body = NAMESPACES.page(context, query, scope)
    _add_associations(context, body["namespaces"])
    return body


@router.operation(
    "POST",
    "/v2/metadefs/namespaces",
    policy=("add_metadef_namespace", *(kind.rule("add") for kind in (RESOURCE_TYPES, *KINDS.values()))),
    status=201,
)
def create_namespace(context: Context, body: JsonObject) -> dict[str, Any]:
    refuse_read_only(body)
    check(_namespace, body)
    for kind in (RESOURCE_TYPES, *KINDS.values()):
        if body.get(kind.plural):
            context.enforce(kind.rule("add"))
    return _details(context, add_namespace(context.db, body, _owner(context, body, context.caller.project_id)))


@router.operation("GET", "/v2/metadefs/namespaces/{namespace}", policy=on_target("get_metadef_namespace"))
def show_namespace(context: Context, namespace: str, resource_type: str | None = None) -> dict[str, Any]:
    """Show the namespace; its properties have the names that they have on resources of *resource_type*."""
    row = permitted_namespace(context, namespace)
    prefix = prefix_of(context, row, resource_type) if resource_type else None
    return prefixed(_details(context, row), prefix or "")


@router.operation("PUT", "/v2/metadefs/namespaces/{namespace}", policy=on_target("modify_metadef_namespace"))
def update_namespace(context: Context, namespace: str, body: JsonObject) -> dict[str, Any]:
    row = permitted_namespace(context, namespace)
    refuse_read_only(body)
    check(_namespace, body)
    if body["namespace"] != namespace:
        raise Forbidden("A namespace cannot be renamed: its items and their users refer to it by name.")
    for name in SETTABLE:
        if name in body:
            setattr(row, name, body[name])
    row.project_id, row.updated_at = _owner(context, body, row.project_id), utcnow()
    return _details(context, row)


def _owner(context: Context, body: JsonObject, known: str | None) -> str | None:
    """Return the owner that *body* names, a project that must exist; else the *known* one."""
    owner: str | None = body.get("owner", known)
    if owner not in (None, known):
        context.check_project(owner)
    return owner


@router.operation(
    "DELETE", "/v2/metadefs/namespaces/{namespace}", policy=on_target("delete_metadef_namespace"), status=204
)
def delete_namespace(context: Context, namespace: str) -> None:
    row = permitted_namespace(context, namespace)
    if row.protected:
        raise Forbidden(f"Metadata definition namespace {namespace} is protected and cannot be deleted.")
    context.db.delete(row)


def permitted_namespace(context: Context, namespace: str, *rules: str) -> MetadefNamespace:
    """Return the namespace if it is public or the caller's, or the caller is an administrator; else raise NotFound.

    Raises Forbidden unless *rules* (default: the route's) allow the request on it.
    """
    row = context.db.get(MetadefNamespace, namespace)
    seen = row and (context.is_admin or row.visibility == "public" or row.project_id == context.caller.project_id)
    if row is None or not seen or not _allowed(context, row):
        raise NotFound(f"The metadata definition namespace={namespace} was not found.")
    for rule in rules or context.rules[:1]:
        context.enforce(rule, _target(row))
    return row


def _allowed(context: Context, row: MetadefNamespace) -> bool:
    return context.allows(READ, _target(row))


def _target(row: MetadefNamespace) -> dict[str, Any]:
    return {"project_id": row.project_id, "visibility": row.visibility}


def _view(row: MetadefNamespace) -> dict[str, Any]:
    return {
        "namespace": row.namespace,
        **{name: getattr(row, name) for name in SETTABLE},
        "owner": row.project_id,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
        "self": f"/v2/metadefs/namespaces/{row.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
    }


def _add_associations(context: Context, views: Sequence[dict[str, Any]]) -> None:
    """Add the associations with resource types to *views* of namespaces."""
    names = [view["namespace"] for view in views]
    query = select(MetadefItem).where(MetadefItem.kind == RESOURCE_TYPES.plural, MetadefItem.namespace.in_(names))
    found: dict[str, list[MetadefItem]] = {}
    for item in context.db.scalars(query.order_by(MetadefItem.name)):
        found.setdefault(item.namespace, []).append(item)
    for view in views:
        if items := found.get(view["namespace"]):
            view[RESOURCE_TYPES.plural] = item_views(RESOURCE_TYPES, items)


def _details(context: Context, row: MetadefNamespace) -> dict[str, Any]:
    query = select(MetadefItem).where(MetadefItem.namespace == row.namespace).order_by(MetadefItem.name)
    items = context.db.scalars(query).all()
    view = _view(row)
    for kind in (RESOURCE_TYPES, *KINDS.values()):
        found = [item for item in items if item.kind == kind.plural]
        if found:
            view[kind.plural] = item_views(kind, found)
    return view


NAMESPACES = Listing(
    "namespaces",
    "/v2/schemas/metadefs/namespaces",
    _view,
    marker=MetadefNamespace.namespace,
    sort_keys={name: getattr(MetadefNamespace, name) for name in ("namespace", "created_at", "updated_at")},
    ties=("created_at", "namespace"),
    allowed=_allowed,
)
