"""The JSON schemas of metadata definitions."""

from typing import Any

from skywright.services.image.schemas import TEXT, collection, read_only

DATES = {
    "created_at": read_only("string", "Date and time of creation"),
    "updated_at": read_only("string", "Date and time of the last modification"),
    "self": read_only("string", "Its own URL"),
    "schema": read_only("string", "The URL of its schema"),
}


def _text(length: int, description: str, kind: Any = "string") -> dict[str, Any]:
    return {"type": kind, "maxLength": length, "pattern": TEXT, "description": description}


# A part of the path: an empty name or one with a slash could not be used in a URL.
def _name(length: int, description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": length, "pattern": "^[^\\u0000/]+$", "description": description}


PROPERTY: dict[str, Any] = {
    "name": "property",
    "type": "object",
    "required": ["name", "title", "type"],
    "properties": {
        "name": _name(255, "Name of the property"),
        "title": _text(255, "Title of the property"),
        "description": _text(500, "Description of the property"),
        "type": {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string"]},
        "operators": {"type": "array", "items": {"type": "string"}},
        "enum": {"type": "array"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "minLength": {"type": "integer", "minimum": 0},
        "maxLength": {"type": "integer", "minimum": 0},
        "pattern": {"type": "string"},
        "items": {"type": "object"},
        "minItems": {"type": "integer", "minimum": 0},
        "maxItems": {"type": "integer", "minimum": 0},
        "uniqueItems": {"type": "boolean"},
        "additionalItems": {"type": "boolean"},
        "readonly": {"type": "boolean"},
        "default": {},
    },
    "additionalProperties": False,
}
# {name: property}
PROPERTIES = {"type": "object", "additionalProperties": {**PROPERTY, "required": ["title", "type"]}}
OBJECT: dict[str, Any] = {
    "name": "object",
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _name(255, "Name of the object"),
        "description": _text(500, "Description of the object"),
        "required": {"type": "array", "items": {"type": "string"}},
        "properties": PROPERTIES,
        **DATES,
    },
    "additionalProperties": False,
}
TAG: dict[str, Any] = {
    "name": "tag",
    "type": "object",
    "required": ["name"],
    "properties": {"name": _name(80, "Name of the tag"), **DATES},
    "additionalProperties": False,
}
RESOURCE_TYPE: dict[str, Any] = {
    "name": "resource_type_association",
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _name(80, "Name of the resource type"),
        "prefix": _text(80, "Prefix that properties have on resources of this type", ["string", "null"]),
        "properties_target": _text(80, "What the properties describe", ["string", "null"]),
        **DATES,
    },
    "additionalProperties": False,
}
NAMESPACE: dict[str, Any] = {
    "name": "namespace",
    "type": "object",
    "required": ["namespace"],
    "properties": {
        "namespace": _name(80, "The unique namespace text"),
        "display_name": _text(80, "The user friendly name", ["string", "null"]),
        "description": _text(500, "Description of the namespace", ["string", "null"]),
        "visibility": {"type": "string", "enum": ["public", "private"]},
        "protected": {"type": "boolean"},
        "owner": _text(255, "Owner of the namespace", ["string", "null"]),
        "resource_type_associations": {"type": "array", "items": RESOURCE_TYPE},
        "objects": {"type": "array", "items": OBJECT},
        "properties": PROPERTIES,
        "tags": {"type": "array", "items": TAG},
        **DATES,
    },
    "additionalProperties": False,
}
DOCUMENTS = {
    "namespace": NAMESPACE,
    "namespaces": collection("namespaces", NAMESPACE),
    "object": OBJECT,
    "objects": collection("objects", OBJECT),
    "property": PROPERTY,
    "properties": collection("properties", PROPERTY),
    "tag": TAG,
    "tags": collection("tags", TAG),
    "resource_type": RESOURCE_TYPE,
    "resource_types": collection("resource_type_associations", RESOURCE_TYPE),
}
