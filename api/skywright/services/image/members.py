"""Members: the projects that an image is shared with."""

from typing import Any

from sqlalchemy import select

from skywright.db import utcnow
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router, TooLarge
from skywright.http.policy import on_target
from skywright.services.image import schemas, views
from skywright.services.image.access import image_target, membership, permitted_image, visible_image
from skywright.services.image.bodies import JsonObject
from skywright.services.image.tables import Image, ImageMember

router = Router()
MEMBER_LIMIT = 128


@router.operation("GET", "/v2/images/{image_id}/members", policy=on_target("get_members"))
def list_members(context: Context, image_id: str) -> dict[str, Any]:
    row = _shared(permitted_image(context, image_id))
    query = select(ImageMember).where(ImageMember.image_id == row.id).order_by(ImageMember.created_at)
    if not (context.is_admin or row.project_id == context.caller.project_id):
        query = query.where(ImageMember.member_id == context.project_id)
    return {"members": [views.member(item) for item in context.db.scalars(query)], "schema": "/v2/schemas/members"}


@router.operation("POST", "/v2/images/{image_id}/members", policy=on_target("add_member"))
def create_member(context: Context, image_id: str, body: JsonObject) -> dict[str, Any]:
    row = _shared(permitted_image(context, image_id))
    member_id = body.get("member")
    if not isinstance(member_id, str) or not 1 <= len(member_id) <= 255 or "\0" in member_id:
        raise BadRequest('"member" must be the id of a project.')
    context.check_project(member_id)
    if membership(context.db, row.id, member_id) is not None:
        raise Conflict(f"Member {member_id} is duplicated for image {image_id}")
    taken = context.db.scalars(select(ImageMember.member_id).where(ImageMember.image_id == row.id)).all()
    if len(taken) >= MEMBER_LIMIT:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image members: {MEMBER_LIMIT}.")
    member = ImageMember(image_id=row.id, member_id=member_id)
    context.db.add(member)
    context.db.flush()
    return views.member(member)


@router.operation("GET", "/v2/images/{image_id}/members/{member_id}", policy=on_target("get_member"))
def show_member(context: Context, image_id: str, member_id: str) -> dict[str, Any]:
    row = visible_image(context, image_id)
    own = context.is_admin or context.caller.project_id in (row.project_id, member_id)
    if not context.allows("get_member", image_target(context, row)) or not own:
        raise _missing(image_id, member_id)
    return views.member(_member(context, row, member_id))


@router.operation("PUT", "/v2/images/{image_id}/members/{member_id}", policy=on_target("modify_member"))
def update_member(context: Context, image_id: str, member_id: str, body: JsonObject) -> dict[str, Any]:
    """Set the member's status. Only the member may: an owner must not add images to other projects' lists."""
    row = visible_image(context, image_id)
    status: Any = body.get("status")
    schemas.check_member_status(status)
    context.enforce("modify_member", image_target(context, row) | {"member_id": member_id})
    member = _member(context, row, member_id)
    member.status, member.updated_at = status, utcnow()
    return views.member(member)


@router.operation("DELETE", "/v2/images/{image_id}/members/{member_id}", policy=on_target("delete_member"), status=204)
def delete_member(context: Context, image_id: str, member_id: str) -> None:
    row = _shared(permitted_image(context, image_id))
    context.db.delete(_member(context, row, member_id))


def _shared(row: Image) -> Image:
    if row.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return row


def _member(context: Context, row: Image, member_id: str) -> ImageMember:
    member = membership(context.db, row.id, member_id)
    if member is None:
        raise _missing(row.id, member_id)
    return member


def _missing(image_id: str, member_id: str) -> NotFound:
    return NotFound(f"{member_id} not found in the member list of the image {image_id}.")
