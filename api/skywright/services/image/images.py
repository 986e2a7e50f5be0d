"""Images, without their data."""

from typing import Any

from fastapi import Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from skywright.db import after_commit, utcnow
from skywright.http import ApiError, BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.http.policy import AUTHENTICATED, on_target
from skywright.http.router import json_response
from skywright.jobs.engine.submit import submit
from skywright.services.image import attributes, filters, patch, schemas, views
from skywright.services.image.access import allowed, image_target, permitted_image, visible, visible_image
from skywright.services.image.bodies import JsonObject
from skywright.services.image.imports import METHODS
from skywright.services.image.listing import DEFAULT_LIMIT, Listing
from skywright.services.image.store import Store
from skywright.services.image.tables import WITH_DATA, Image, ImageTag

router = Router()
SORT_KEYS = ("id", "name", "status", "container_format", "disk_format", "size", "created_at", "updated_at")
IMAGES = Listing(
    "images",
    "/v2/schemas/images",
    views.image,
    marker=Image.id,
    sort_keys={name: getattr(Image, name) for name in SORT_KEYS},
    ties=("created_at", "id"),
    default_limit=DEFAULT_LIMIT,
    missing_marker=BadRequest,
    allowed=allowed,
)


@router.operation("GET", "/v2/images", policy="get_images")
def list_images(context: Context) -> dict[str, Any]:
    _refuse_empty_id(context)
    images = select(Image).where(Image.deleted_at.is_(None))
    wanted = filters.conditions(context, context.request.query_params.multi_items())
    return IMAGES.page(context, images.where(*wanted), images.where(visible(context)))


@router.operation("DELETE", "/v2/images", policy=AUTHENTICATED)
def delete_images(context: Context) -> None:
    _refuse_empty_id(context)
    raise ApiError("Images are deleted one by one.", status=405)


def _refuse_empty_id(context: Context) -> None:
    """`/v2/images/` is an image with an empty id, not the list of images."""
    if context.request.scope["raw_path"].endswith(b"/"):
        raise NotFound("Failed to find an image without an id")


@router.operation(
    "POST", "/v2/images", policy=on_target("add_image", also=("publicize_image", "communitize_image")), status=201
)
def create_image(context: Context, body: JsonObject) -> Response:
    attributes.check_names(body)
    schemas.check_image(body)
    row = Image(project_id=context.caller.project_id, status="queued", visibility="shared", properties={})
    if "id" in body:
        row.id = body.pop("id")
    for name, value in body.items():
        attributes.assign(context, row, name, value)
    attributes.check_limits(row)
    context.enforce("add_image", image_target(context, row))
    try:
        context.db.add(row)
        context.db.flush()
    except IntegrityError as error:
        raise Conflict(f"Image ID {row.id} already exists!") from error
    response = json_response(views.image(row), 201)
    response.headers["Location"] = f"{context.base_url}/v2/images/{row.id}"
    response.headers["OpenStack-image-import-methods"] = ",".join(METHODS)
    return response


@router.operation("GET", "/v2/images/{image_id}", policy=on_target("get_image"))
def show_image(context: Context, image_id: str) -> dict[str, Any]:
    return views.image(visible_image(context, image_id))


@router.operation(
    "PATCH", "/v2/images/{image_id}", policy=on_target("modify_image", also=("publicize_image", "communitize_image"))
)
def update_image(context: Context, image_id: str, changes: patch.Changes) -> dict[str, Any]:
    row = permitted_image(context, image_id)
    patch.apply(context, row, changes)
    attributes.check_limits(row)
    if changes:
        row.updated_at = utcnow()
    return views.image(row)


@router.operation("DELETE", "/v2/images/{image_id}", policy=on_target("delete_image"), status=204)
def delete_image(context: Context, image_id: str) -> None:
    row = permitted_image(context, image_id)
    if row.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    if row.status in WITH_DATA:
        submit(context, "image", "delete", [("image", row.id)])
    row.status, row.deleted_at = "deleted", utcnow()
    store = Store(context.cloud.settings.image_dir)
    after_commit(context.db, f"forget image {row.id}", lambda: store.remove(image_id))


@router.operation("POST", "/v2/images/{image_id}/actions/deactivate", policy=on_target("deactivate"), status=204)
def deactivate_image(context: Context, image_id: str) -> None:
    _switch(permitted_image(context, image_id), "deactivated")


@router.operation("POST", "/v2/images/{image_id}/actions/reactivate", policy=on_target("reactivate"), status=204)
def reactivate_image(context: Context, image_id: str) -> None:
    _switch(permitted_image(context, image_id), "active")


def _switch(row: Image, status: str) -> None:
    """Set the status of an image with data to active or deactivated."""
    if row.status not in WITH_DATA:
        raise Forbidden(f"Not allowed to make an image {status} that is {row.status}.")
    if row.status != status:
        row.status, row.updated_at = status, utcnow()


@router.operation("PUT", "/v2/images/{image_id}/tags/{tag}", policy=on_target("modify_image"), status=204)
def add_tag(context: Context, image_id: str, tag: str) -> None:
    row = permitted_image(context, image_id)
    if not tag or len(tag) > 255 or "\0" in tag:
        raise BadRequest("A tag has 1 to 255 characters.")
    if tag not in row.tags:
        row.tag_rows.append(ImageTag(value=tag))
        attributes.check_limits(row)
        row.updated_at = utcnow()


@router.operation("DELETE", "/v2/images/{image_id}/tags/{tag}", policy=on_target("modify_image"), status=204)
def remove_tag(context: Context, image_id: str, tag: str) -> None:
    row = permitted_image(context, image_id)
    if tag not in row.tags:
        raise NotFound(f"Could not find tag {tag} of image {image_id}")
    row.tags = [value for value in row.tags if value != tag]
    row.updated_at = utcnow()
