"""Views of images, members and tasks."""

from typing import Any

from skywright.db import isoformat
from skywright.services.image.tables import WITH_DATA, Image, ImageMember, ImageTask

STORE = "file"
TASK_TYPE = "api_image_import"
ATTRIBUTES = (
    "name",
    "disk_format",
    "container_format",
    "visibility",
    "size",
    "virtual_size",
    "status",
    "checksum",
    "protected",
    "min_ram",
    "min_disk",
    "os_hidden",
    "os_hash_algo",
    "os_hash_value",
    "id",
    "tags",
)


def image(row: Image) -> dict[str, Any]:
    """Return the view of an image. Custom properties are beside its attributes, which take precedence."""
    view = dict(row.properties)
    view.update({name: getattr(row, name) for name in ATTRIBUTES})
    view["owner"] = row.project_id
    view["created_at"] = isoformat(row.created_at)
    view["updated_at"] = isoformat(row.updated_at)
    view["self"] = f"/v2/images/{row.id}"
    view["file"] = f"/v2/images/{row.id}/file"
    view["schema"] = "/v2/schemas/image"
    if row.status in WITH_DATA:
        view["stores"] = STORE
    return view


def member(row: ImageMember) -> dict[str, Any]:
    return {
        "image_id": row.image_id,
        "member_id": row.member_id,
        "status": row.status,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
        "schema": "/v2/schemas/member",
    }


def task(row: ImageTask) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": TASK_TYPE,
        "status": row.status,
        "owner": row.project_id,
        "user_id": row.user_id,
        "request_id": row.request_id,
        "image_id": row.image_id,
        "input": {"image_id": row.image_id, "import_req": row.request},
        "result": {"image_id": row.image_id} if row.status == "success" else None,
        "message": row.message,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.created_at),
        "schema": "/v2/schemas/task",
    }
