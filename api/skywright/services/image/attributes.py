"""Setting attributes and properties of images: the rules for creation and update."""

from collections.abc import Mapping
from typing import Any

from skywright.http import BadRequest, Context, Forbidden, TooLarge
from skywright.services.image import schemas
from skywright.services.image.access import image_target
from skywright.services.image.tables import Image

SETTABLE = frozenset(
    {
        "name",
        "visibility",
        "protected",
        "os_hidden",
        "disk_format",
        "container_format",
        "min_disk",
        "min_ram",
        "tags",
        "owner",
    }
)
PROPERTY_LIMIT = 128
TAG_LIMIT = 128
AMAZON = frozenset({"ami", "ari", "aki"})


def refuse_read_only(name: str) -> None:
    """Raise Forbidden for attributes that only the service sets."""
    if name in schemas.READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in schemas.RESERVED or name.startswith("os_glance_"):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def assign(context: Context, row: Image, name: str, value: Any) -> None:
    """Set an attribute or a property that the schema allows."""
    if name == "owner":
        _assign_owner(context, row, value)
    elif name in ("disk_format", "container_format"):
        if row.status != "queued" and value != getattr(row, name):
            raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")
        setattr(row, name, value)
    elif name == "visibility":
        _assign_visibility(context, row, value)
    elif name in SETTABLE:
        setattr(row, name, value)
    else:
        row.properties = {**row.properties, name: value}


def check_limits(row: Image) -> None:
    """Refuse invalid combinations of attributes: formats that do not fit, too many tags or properties."""
    formats = {row.disk_format, row.container_format}
    if formats & AMAZON and len(formats - {None}) > 1 and row.container_format in AMAZON:
        raise BadRequest(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of "
            "'aki', 'ari', or 'ami', the container and disk formats must match."
        )
    if len(row.properties) > PROPERTY_LIMIT:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image properties: {PROPERTY_LIMIT}.")
    if len(row.tags) > TAG_LIMIT:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image tags: {TAG_LIMIT}.")


def check_names(body: Mapping[str, Any]) -> None:
    """Raise Forbidden if *body* has read-only attributes."""
    for name in body:
        refuse_read_only(name)


def _assign_owner(context: Context, row: Image, value: str | None) -> None:
    if value != row.project_id:
        if row.created_at is not None and not context.is_admin:
            raise Forbidden("Owner can't be updated by non admin.")
        if row.created_at is None and not context.allows("add_image", image_target(context, row) | {"owner": value}):
            raise Forbidden(f"You are not permitted to create images owned by '{value}'.")
        row.project_id = value  # any id: Glance does not ask Keystone


def _assign_visibility(context: Context, row: Image, value: str) -> None:
    target = image_target(context, row)
    if value != row.visibility:
        if value == "public":
            context.enforce("publicize_image", target)
        elif value == "community":
            context.enforce("communitize_image", target)
    row.visibility = value
