"""Access to images: private, shared, community and public images, and the policy, as in Glance."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, exists, or_, true
from sqlalchemy.orm import Session

from skywright.errors import NotFound
from skywright.services.image.tables import Image, ImageMember

if TYPE_CHECKING:  # workers import this module and must stay small
    from skywright.http import Context


def shared_with(project_id: str | None, status: str = "all") -> ColumnElement[bool]:
    """Return the clause for images that other projects share with *project_id*, with the member's *status*."""
    conditions = [ImageMember.image_id == Image.id, ImageMember.member_id == project_id]
    if status != "all":
        conditions.append(ImageMember.status == status)
    return and_(Image.visibility == "shared", exists().where(*conditions))


def visible(context: "Context", member_status: str = "all") -> ColumnElement[bool]:
    """Return the clause for images that the caller may see; shared ones have *member_status* in his project."""
    if context.is_admin:
        return true()
    return or_(
        Image.project_id == context.project_id,
        Image.visibility.in_(["public", "community"]),
        shared_with(context.project_id, member_status),
    )


def visible_image(context: "Context", image_id: str) -> Image:
    """Return the image if the caller may see it; raise NotFound otherwise, as for an unknown id."""
    row = context.db.get(Image, image_id)
    seen = row is not None and row.deleted_at is None and _may_see(context, row)
    if row is None or not seen or not allowed(context, row):
        raise NotFound(f"Failed to find image {image_id}")
    return row


def permitted_image(context: "Context", image_id: str) -> Image:
    """Return a visible image if the route's rule allows the request on it; raise Forbidden otherwise."""
    row = visible_image(context, image_id)
    context.enforce(context.rules[0], image_target(context, row))
    return row


def allowed(context: "Context", row: Image) -> bool:
    """Return whether the policy lets the caller see an image that his project can see."""
    return context.allows("get_image", image_target(context, row))


def image_target(context: "Context", row: Image) -> dict[str, Any]:
    """Return the target of an image; `member_id` is the caller's project if the image is shared with it."""
    project = context.caller.project_id
    member = project if row.visibility == "shared" and row.project_id != project else None
    return {
        "project_id": row.project_id,
        "owner": row.project_id,
        "visibility": row.visibility,
        "member_id": member,
    }


def _may_see(context: "Context", row: Image) -> bool:
    if context.is_admin or row.visibility in ("public", "community"):
        return True
    project = context.caller.project_id
    if project is None:
        return False
    if row.project_id == project:
        return True
    return row.visibility == "shared" and membership(context.db, row.id, project) is not None


def membership(session: Session, image_id: str, member_id: str) -> ImageMember | None:
    """Return the row that shares an image with a project."""
    return session.get(ImageMember, (image_id, member_id))
