"""The JSON schemas of the service: published at /v2/schemas, and used to validate request bodies."""

from typing import Any

from jsonschema import Draft202012Validator

from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.policy import AUTHENTICATED

router = Router()

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
DISK_FORMATS = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "ploop", "iso", "gpt"]
CONTAINER_FORMATS = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]
# No NUL and no half of a surrogate pair: the database or JSON could not return it.
TEXT = "^[^\\u0000]*$"
MAX_INTEGER = 2**31 - 1


def read_only(kind: Any, description: str, **more: Any) -> dict[str, Any]:
    """Return the schema of an attribute that only the service sets."""
    return {"type": kind, "readOnly": True, "description": f"{description} (READ-ONLY)", **more}


def _text(description: str, kind: Any = "string") -> dict[str, Any]:
    return {"type": kind, "maxLength": 255, "pattern": TEXT, "description": description}


TAGS = {
    "type": "array",
    "items": {"type": "string", "maxLength": 255, "minLength": 1, "pattern": TEXT},
    "description": "List of strings related to the image",
}
IMAGE_PROPERTIES: dict[str, Any] = {
    "id": {"type": "string", "pattern": UUID, "maxLength": 36, "description": "An identifier for the image"},
    "name": _text("Descriptive name for the image", ["null", "string"]),
    "status": read_only(
        "string",
        "Status of the image",
        enum=["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "deactivated"],
    ),
    "visibility": {
        "type": "string",
        "enum": ["community", "public", "private", "shared"],
        "description": "Scope of image accessibility",
    },
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list response."},
    "checksum": read_only(["null", "string"], "md5 hash of image contents."),
    "os_hash_algo": read_only(["null", "string"], "Algorithm to calculate the os_hash_value"),
    "os_hash_value": read_only(["null", "string"], "Hexdigest of the image contents using os_hash_algo"),
    "owner": _text("Owner of the image", ["null", "string"]),
    "size": read_only(["null", "integer"], "Size of image file in bytes"),
    "virtual_size": read_only(["null", "integer"], "Virtual size of image in bytes"),
    "container_format": {
        "type": ["null", "string"],
        "enum": [None, *CONTAINER_FORMATS],
        "description": "Format of the container",
    },
    "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS], "description": "Format of the disk"},
    "created_at": read_only("string", "Date and time of image registration"),
    "updated_at": read_only("string", "Date and time of the last image modification"),
    "tags": TAGS,
    "min_ram": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "Amount of ram (in MB) required to boot image.",
    },
    "min_disk": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "Amount of disk space (in GB) required to boot image.",
    },
    "self": read_only("string", "An image self url"),
    "file": read_only("string", "An image file url"),
    "schema": read_only("string", "An image schema url"),
    "stores": read_only("string", "Stores in which the image data resides"),
}
READ_ONLY = frozenset(name for name, schema in IMAGE_PROPERTIES.items() if schema.get("readOnly")) | {
    "direct_url",
    "locations",
}
RESERVED = frozenset({"is_public", "location", "deleted", "deleted_at"})

IMAGE = {
    "name": "image",
    "properties": IMAGE_PROPERTIES,
    "additionalProperties": {"type": "string", "maxLength": 65535, "pattern": TEXT},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "created_at": read_only("string", "Date and time of image member creation"),
        "image_id": {"type": "string", "pattern": UUID, "description": "An identifier for the image"},
        "member_id": _text("An identifier for the image member (tenantId)"),
        "status": {
            "type": "string",
            "enum": ["pending", "accepted", "rejected"],
            "description": "The status of this image member",
        },
        "updated_at": read_only("string", "Date and time of last modification of image member"),
        "schema": read_only("string", "The schema of the image member"),
    },
}


TASK: dict[str, Any] = {
    "name": "task",
    "properties": {
        "id": {"type": "string", "pattern": UUID, "description": "An identifier for the task"},
        "type": {"type": "string", "enum": ["api_image_import"], "description": "The type of the task"},
        "status": {
            "type": "string",
            "enum": ["success", "failure"],
            "description": "The current status of this task",
        },
        "input": {"type": ["null", "object"], "description": "The parameters that the task was asked for with"},
        "result": {"type": ["null", "object"], "description": "The result of the task"},
        "owner": {"type": ["null", "string"], "description": "An identifier for the owner of this task"},
        "message": {"type": "string", "description": "Human-readable message, usually on failure"},
        "image_id": {"type": "string", "description": "Image associated with the task"},
        "request_id": {"type": ["null", "string"], "description": "The request that asked for the task"},
        "user_id": {"type": ["null", "string"], "description": "User associated with the task"},
        "expires_at": {"type": ["null", "string"], "description": "Date and time when this task may be removed"},
        "created_at": read_only("string", "Date and time when this task was created"),
        "updated_at": read_only("string", "Date and time when this task was updated"),
        "self": read_only("string", "A task self url"),
        "schema": read_only("string", "A task schema url"),
    },
}
DETAILS = ("input", "result", "message")


def collection(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of *item*s."""
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}]
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [*links, {"rel": "describedby", "href": "{schema}"}],
    }


DOCUMENTS = {
    "image": IMAGE,
    "images": collection("images", IMAGE),
    "member": MEMBER,
    "members": collection("members", MEMBER),
    "task": TASK,
    "tasks": collection(
        "tasks", {**TASK, "properties": {k: v for k, v in TASK["properties"].items() if k not in DETAILS}}
    ),
}
_image = Draft202012Validator({"type": "object", **IMAGE})
_member_status = Draft202012Validator(MEMBER["properties"]["status"])


def check_image(body: dict[str, Any]) -> None:
    """Raise BadRequest unless the image schema allows *body*'s attributes and properties."""
    check(_image, body)
    for name in body:
        if not name or len(name) > 255 or "\0" in name:
            raise BadRequest(f"Provided property name {name[:40]!r} is empty, too long or holds a NUL.")


def check_member_status(status: Any) -> None:
    """Raise BadRequest unless *status* is a valid member status."""
    check(_member_status, status)


def check(validator: Draft202012Validator, value: Any) -> None:
    """Raise BadRequest unless *validator*'s schema allows *value*."""
    for error in validator.iter_errors(value):
        where = f" for '{error.path[0]}'" if error.path else ""
        raise BadRequest(f"Provided object does not match schema{where}: {error.message[:500]}")


@router.operation("GET", "/v2/schemas/{name}", policy=AUTHENTICATED)
def show_schema(context: Context, name: str) -> dict[str, Any]:
    if name not in DOCUMENTS:
        raise NotFound(f"There is no schema {name}.")
    return DOCUMENTS[name]
