"""Receiving image data: streamed to the store with bounded memory; stored completely or not at all."""

from typing import Any

import anyio
from fastapi import Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.http import ApiError, BadRequest, Conflict, Router, TooLarge
from skywright.http.fields import natural
from skywright.http.policy import on_target, with_rules
from skywright.http.router import request_context
from skywright.http.streaming import copy, receiving
from skywright.services.image.access import permitted_image
from skywright.services.image.replicas import Replicas, digest_of
from skywright.services.image.store import Content, Store, Upload
from skywright.services.image.tables import Image
from skywright.services.image.views import STORE

router = Router()
STORE_HEADER, SIZE_HEADER = "x-image-meta-store", "x-openstack-image-size"


@router.put("/v2/images/{image_id}/file", status_code=204)
@with_rules(on_target("upload_image"))
async def upload_data(request: Request, image_id: str) -> Response:
    """Upload the image's data: the image becomes active."""
    return await _receive(request, image_id, "saving")


@router.put("/v2/images/{image_id}/stage", status_code=204)
@with_rules(on_target("modify_image"))
async def stage_data(request: Request, image_id: str) -> Response:
    """Stage data that waits for its import."""
    return await _receive(request, image_id, "uploading")


async def _receive(request: Request, image_id: str, status: str) -> Response:
    """Receive data while the image is in *status*. After any error it is queued again and has no data."""
    cloud: Cloud = request.app.state.cloud
    content: Content | None = None
    async with receiving(request) as body:
        upload = await run_in_threadpool(_begin, request, image_id, status)
        try:
            await copy(body, upload.write)
            content = await run_in_threadpool(_store, request, upload, image_id, status)
            await Replicas(cloud.settings).give(image_id, content)
            await run_in_threadpool(_end, cloud, image_id, status, content)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(_abandon, cloud, image_id, status, content)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(upload.close)
    return Response(status_code=204)


def _begin(request: Request, image_id: str, status: str) -> Upload:
    """Check whether this upload is allowed, lock the image in the store, and set *status*."""
    settings = request.app.state.cloud.settings
    upload: Upload | None = None
    try:
        with request_context(request, write=True) as context:
            row = permitted_image(context, image_id)
            _permit(request, row, status, settings.max_image_bytes)
            upload = Store(settings.image_dir).receive(row.id, settings.max_image_bytes)
            row.status, row.updated_at = status, utcnow()
    except BaseException:
        if upload is not None:
            upload.close()
        raise
    return upload


def _permit(request: Request, row: Image, status: str, limit: int) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise ApiError(f"Unsupported content type {media_type!r}: use application/octet-stream.", status=415)
    store = request.headers.get(STORE_HEADER, STORE)
    if status == "saving" and store != STORE:
        raise BadRequest(f"Store '{store[:64]}' does not exist; known: {STORE}.")
    if row.disk_format is None or row.container_format is None:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    _announced_size(request)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"Images may not be larger than {limit} bytes.")
    # An image in *status* is either being received (its part is locked), or its process died.
    if row.status not in ("queued", status):
        raise Conflict(f"Image status transition from {row.status} to {status} is not allowed.")
    if status == "uploading" and row.staged is not None:
        raise Conflict("Data of this image is staged already.")


def _announced_size(request: Request) -> int | None:
    """Return the size that the data must have, if the client announces one."""
    text = request.headers.get(SIZE_HEADER)
    try:
        return None if text is None else natural(text.strip())
    except ValueError:
        raise BadRequest(f"Invalid image size in the header {SIZE_HEADER}.") from None


def _store(request: Request, upload: Upload, image_id: str, status: str) -> Content:
    """Inspect the complete data and move it to its place. No record refers to it yet."""
    cloud: Cloud = request.app.state.cloud
    with cloud.database.read() as session:
        row = _receiving(session.get(Image, image_id), status)
    content = upload.finish(row.disk_format, row.container_format)
    if _announced_size(request) not in (None, content.size):
        raise BadRequest(f"The data has {content.size} bytes, which is not the size in the header {SIZE_HEADER}.")
    upload.keep(Store(cloud.settings.image_dir).path(image_id, content.os_hash_value))
    return content


def _end(cloud: Cloud, image_id: str, status: str, content: Content) -> None:
    """Record the data as the image's."""

    def work(session: Session) -> None:
        row = session.get(Image, image_id)
        if digest_of(row) == content.os_hash_value:
            return  # the database became unavailable after the commit
        row = _receiving(row, status)
        if status == "saving":
            become_active(row, content.as_dict())
        else:
            row.staged = content.as_dict()

    cloud.database.transact(work)


def become_active(row: Image, content: dict[str, Any]) -> None:
    """Set the image's attributes from *content*, a `Content`."""
    for name in Content.__dataclass_fields__:
        setattr(row, name, content[name])
    row.status, row.updated_at = "active", utcnow()


def _receiving(row: Image | None, status: str) -> Image:
    if row is None or row.deleted_at is not None or row.status != status:
        raise ApiError("The image was deleted while its data was uploaded.", status=410)
    return row


def _abandon(cloud: Cloud, image_id: str, status: str, content: Content | None) -> None:
    """Restore the image's status, and remove the data unless another upload made it the image's."""
    with cloud.database.write() as session:
        row = session.get(Image, image_id)
        if row is not None and row.status == status:
            row.status = "queued"
    # If there are peers, one may just rely on this controller's copy of the same data: a later check removes it.
    if content is not None and content.os_hash_value != digest_of(row) and not cloud.settings.peers:
        Store(cloud.settings.image_dir).path(image_id, content.os_hash_value).unlink(missing_ok=True)
