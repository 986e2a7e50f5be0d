"""Receiving image data: streamed to the store with bounded memory, all or nothing."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.db.image import Image
from skywright.http import ApiError, BadRequest, Conflict, Router, TooLarge
from skywright.http.router import request_context
from skywright.services.image.access import own_image
from skywright.services.image.store import Content, Store, Upload

router = Router()
BLOCK = 1 << 20
# How long a refused client may go on sending, so that it comes to read the answer.
DRAIN_SECONDS = 5.0


@router.put("/v2/images/{image_id}/file", status_code=204)
async def upload_data(request: Request, image_id: str) -> Response:
    """The image's data: the image becomes active."""
    return await _receive(request, image_id, "saving")


@router.put("/v2/images/{image_id}/stage", status_code=204)
async def stage_data(request: Request, image_id: str) -> Response:
    """Data that waits for its import."""
    return await _receive(request, image_id, "uploading")


class Body:
    """The request's body as it comes."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self._ended:
            message = await self._request.receive()
            if message["type"] != "http.request":
                self._ended = True
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self) -> None:
        """Read what a refused client still sends, for a moment: one that cannot send does not read the answer."""
        if "expect" in self._request.headers:
            return  # it waits for the answer before it sends
        with anyio.move_on_after(DRAIN_SECONDS), contextlib.suppress(ClientDisconnect):
            async for _ in self.chunks():
                pass


async def _receive(request: Request, image_id: str, status: str) -> Response:
    """Receive data while the image is in *status*; whatever goes wrong, it is queued again and no data is left."""
    cloud: Cloud = request.app.state.cloud
    body = Body(request)
    try:
        upload = await run_in_threadpool(_begin, request, image_id, status)
        try:
            await _copy(body, upload)
            await run_in_threadpool(_end, cloud, upload, image_id, status)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(_abandon, cloud, upload, image_id, status)
            raise
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except ApiError:
        await body.drain()
        raise
    return Response(status_code=204)


async def _copy(body: Body, upload: Upload) -> None:
    """Write the body in blocks: a thread for each small chunk would cost more than the writing."""
    block = bytearray()
    async for chunk in body.chunks():
        block += chunk
        if len(block) >= BLOCK:
            await run_in_threadpool(upload.write, bytes(block))
            block.clear()
    await run_in_threadpool(upload.write, bytes(block))


def _begin(request: Request, image_id: str, status: str) -> Upload:
    """Check that this upload may be, lock the image's place in the store, and say so in *status*."""
    limit = request.app.state.cloud.settings.max_image_bytes
    with request_context(request, "image:images:upload", write=True) as context:
        row = own_image(context, image_id, "image:images:upload")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/octet-stream":
            raise ApiError(f"Unsupported content type {media_type!r}: use application/octet-stream.", status=415)
        if row.disk_format is None or row.container_format is None:
            raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise TooLarge(f"Images may not be larger than {limit} bytes.")
        # An image found in *status* was left so by a process that died, or its part is locked.
        if row.status not in ("queued", status):
            raise Conflict(f"Image status transition from {row.status} to {status} is not allowed.")
        if status == "uploading" and row.staged is not None:
            raise Conflict("Data of this image is staged already.")
        upload = Store(context.cloud.settings.image_dir).receive(row.id, limit)
        row.status, row.updated_at = status, utcnow()
        return upload


def _end(cloud: Cloud, upload: Upload, image_id: str, status: str) -> None:
    """All data is here: look at it, and make it the image's."""
    store = Store(cloud.settings.image_dir)
    with cloud.database.read() as session:
        row = _receiving(session.get(Image, image_id), status)
    content = upload.finish(row.disk_format, row.container_format)
    with cloud.database.write() as session:
        row = _receiving(session.get(Image, image_id), status)
        if status == "saving":
            become_active(row, content.as_dict())
            upload.keep(store.path(image_id))
        else:
            row.staged = content.as_dict()
            upload.keep(store.staged(image_id))


def become_active(row: Image, content: dict[str, Any]) -> None:
    """The image has its data: *content* is what a `Content` says of it."""
    for name in Content.__dataclass_fields__:
        setattr(row, name, content[name])
    row.status, row.updated_at = "active", utcnow()


def _receiving(row: Image | None, status: str) -> Image:
    if row is None or row.deleted_at is not None or row.status != status:
        raise ApiError("The image was deleted while its data was uploaded.", status=410)
    return row


def _abandon(cloud: Cloud, upload: Upload, image_id: str, status: str) -> None:
    """Leave no data, and the image as it was before."""
    try:
        with cloud.database.write() as session:
            row = session.get(Image, image_id)
            if row is not None and row.status == status:
                row.status = "queued"
    finally:
        upload.discard()
