"""Items in namespaces of metadata definitions; all types of items have the same operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from sqlalchemy.orm import Session

from skywright.db import isoformat
from skywright.http import Conflict, Context, Forbidden, NotFound
from skywright.services.image import metadef_schemas
from skywright.services.image.schemas import check
from skywright.services.image.tables import MetadefItem, MetadefNamespace, MetadefResourceType

# The attributes of a namespace that requests set.
SETTABLE = ("display_name", "description", "visibility", "protected")


@dataclass(frozen=True)
class Kind:
    """A type of items: its name in paths and lists, its schema, and whether lists are keyed by name."""

    plural: str
    label: str
    validator: Draft202012Validator
    keyed: bool = False
    dated: bool = True
    removal: str = "delete"
    defaults: Mapping[str, Any] = field(default_factory=dict)  # attributes that are always shown

    def rule(self, verb: str) -> str:
        """Return the policy rule of an operation on one item."""
        return f"{verb}_metadef_{self.label.replace(' ', '_')}"


OBJECTS = Kind(
    "objects", "object", Draft202012Validator(metadef_schemas.OBJECT), defaults={"required": [], "properties": {}}
)
PROPERTIES = Kind(
    "properties", "property", Draft202012Validator(metadef_schemas.PROPERTY), keyed=True, dated=False, removal="remove"
)
TAGS = Kind("tags", "tag", Draft202012Validator(metadef_schemas.TAG))
RESOURCE_TYPES = Kind(
    "resource_type_associations", "resource type association", Draft202012Validator(metadef_schemas.RESOURCE_TYPE)
)
KINDS = {kind.plural: kind for kind in (OBJECTS, PROPERTIES, TAGS)}


def kind_named(plural: str) -> Kind:
    """Return the type in a path; raise NotFound if there is none."""
    if plural not in KINDS:
        raise NotFound("The resource could not be found.")
    return KINDS[plural]


def get_item(context: Context, namespace: MetadefNamespace, kind: Kind, name: str) -> MetadefItem:
    """Return the item *name*; raise NotFound if there is none."""
    row = context.db.get(MetadefItem, (namespace.namespace, kind.plural, name))
    if row is None:
        raise NotFound(f"The metadata definition {kind.label} {name} was not found in {namespace.namespace}.")
    return row


def refuse_read_only(body: dict[str, Any]) -> None:
    """Raise Forbidden if *body* has attributes that only the service sets."""
    for name in metadef_schemas.DATES:
        if name in body:
            raise Forbidden(f"Attribute '{name}' is read-only.")


def checked(kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
    """Return *body* without attributes that only the service sets; raise BadRequest if it is not valid."""
    check(kind.validator, body)
    return {key: value for key, value in body.items() if key not in ("name", *metadef_schemas.DATES)}


def add_namespace(session: Session, body: dict[str, Any], owner: str | None) -> MetadefNamespace:
    """Create a namespace with all items in *body*."""
    if session.get(MetadefNamespace, body["namespace"]) is not None:
        raise Conflict(f"The metadata definition namespace={body['namespace']} already exists.")
    row = MetadefNamespace(namespace=body["namespace"], project_id=owner)
    for name in SETTABLE:
        if name in body:
            setattr(row, name, body[name])
    session.add(row)
    session.flush()
    for kind in (RESOURCE_TYPES, *KINDS.values()):
        found = body.get(kind.plural, [])
        for item in [{"name": name, **item} for name, item in found.items()] if isinstance(found, dict) else found:
            add_item(session, row, kind, item)
    return row


def add_item(session: Session, namespace: MetadefNamespace, kind: Kind, body: dict[str, Any]) -> MetadefItem:
    """Add *body* to *namespace*; raise Conflict if the name exists. A resource type is created if it is new."""
    content = checked(kind, body)
    key = (namespace.namespace, kind.plural, body["name"])
    if session.get(MetadefItem, key) is not None:
        raise Conflict(f"A metadata definition {kind.label} {body['name']} exists already in {namespace.namespace}.")
    if kind is RESOURCE_TYPES and session.get(MetadefResourceType, body["name"]) is None:
        session.add(MetadefResourceType(name=body["name"]))
    row = MetadefItem(namespace=namespace.namespace, kind=kind.plural, name=body["name"], body=content)
    session.add(row)
    session.flush()
    return row


def prefix_of(context: Context, namespace: MetadefNamespace, resource_type: str) -> str | None:
    """Return the prefix that properties of *namespace* have on resources of a type; None without an association."""
    row = context.db.get(MetadefItem, (namespace.namespace, RESOURCE_TYPES.plural, resource_type))
    return None if row is None else row.body.get("prefix") or ""


def prefixed(view: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the view of a namespace or object with *prefix* before all names of properties."""
    changed = dict(view)
    for name, items in view.items():
        if name == "properties":
            changed[name] = {f"{prefix}{key}": value for key, value in items.items()}
        elif name == "required":
            changed[name] = [f"{prefix}{key}" for key in items]
        elif name == "objects":
            changed[name] = [prefixed(item, prefix) for item in items]
    return changed


def item_view(kind: Kind, row: MetadefItem) -> dict[str, Any]:
    """Return the view of one item."""
    view = {"name": row.name, **kind.defaults, **row.body}
    if kind.dated:
        view |= {"created_at": isoformat(row.created_at), "updated_at": isoformat(row.updated_at)}
    return view


def item_views(kind: Kind, rows: Sequence[MetadefItem]) -> Any:
    """Return the view of many items: a list, or {name: property} for properties."""
    if kind.keyed:
        return {row.name: dict(row.body) for row in rows}
    return [item_view(kind, row) for row in rows]
