"""Requests between controllers, and the background task that gives each controller the data of all images."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import Request, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from skywright.auth.signatures import Signatures
from skywright.cloud import Cloud
from skywright.http import BadRequest, Forbidden, NotFound, Router, audit
from skywright.http.streaming import FileContent, receiving
from skywright.services.image.replicas import Replicas, digest_of, replica_path
from skywright.services.image.store import Store
from skywright.services.image.tables import Image

log = logging.getLogger(__name__)
router = Router()

LOOK_SECONDS = 30.0
# For so long after its last change, data may still become an image's: a controller may be receiving it.
UNWANTED_SECONDS = 24 * 3600.0


@router.put("/v2/images/{image_id}/replicas/{digest}", status_code=204)
async def take_replica(request: Request, image_id: str, digest: str) -> Response:
    """Store data that a peer received. The audit trail records the upload at that peer."""
    _check(request, image_id, digest)
    settings = request.app.state.cloud.settings
    async with receiving(request) as body:
        try:
            await Replicas(settings).receive(image_id, digest, body)
        except ValueError as error:
            raise BadRequest(f"Not the announced data: {error}.") from error
    pending = audit.current()
    if pending is not None:
        pending.recorded = 204
    return Response(status_code=204)


@router.get("/v2/images/{image_id}/replicas/{digest}")
async def give_replica(request: Request, image_id: str, digest: str) -> Response:
    """Send the data if this controller has it; other peers are not asked."""
    _check(request, image_id, digest)
    path = Store(request.app.state.cloud.settings.image_dir).find(image_id, digest)
    if path is None:
        raise NotFound("This controller does not have the data.")
    return FileContent(path, media_type="application/octet-stream")


def _check(request: Request, image_id: str, digest: str) -> None:
    query, signatures = request.query_params, Signatures(request.app.state.cloud.settings.key_dir)
    given = query.get("expires", ""), query.get("signature", "")
    if not signatures.valid(replica_path(image_id, digest), *given, method=request.method):
        raise Forbidden("The signature of this URL is not valid, or it has expired.")


@asynccontextmanager
async def keeping(cloud: Cloud) -> AsyncIterator[None]:
    """If there are peers, periodically fetch missing data and remove unneeded data, in the background."""
    task = asyncio.create_task(_keep(cloud)) if cloud.settings.peer_urls else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _keep(cloud: Cloud) -> None:
    while True:
        try:
            await look(cloud)
        except Exception:
            log.exception("the image store cannot be checked; the next check follows")
        await asyncio.sleep(LOOK_SECONDS)


async def look(cloud: Cloud) -> None:
    """Fetch the data that this controller lacks, and remove data that belongs to no image."""
    store = Store(cloud.settings.image_dir)
    there = await run_in_threadpool(store.files)
    wanted = await run_in_threadpool(_wanted, cloud)
    for image_id, paths in there.items():
        await run_in_threadpool(_remove_unwanted, store, image_id, paths, wanted)
    for image_id, digest in wanted.items():
        if digest and store.find(image_id, digest) is None:
            await Replicas(cloud.settings).fetch(image_id, digest)


def _wanted(cloud: Cloud) -> dict[str, str | None]:
    """Return {image id: hash of its data} of all images that are not deleted; None for images without data."""
    with cloud.database.read() as session:
        rows = session.scalars(select(Image).where(Image.deleted_at.is_(None)))
        return {row.id: digest_of(row) for row in rows}


def _remove_unwanted(store: Store, image_id: str, paths: list[Path], wanted: Mapping[str, str | None]) -> None:
    digest = wanted.get(image_id)
    kept = store.find(image_id, digest) if digest else None
    for path in paths:
        with suppress(FileNotFoundError):
            old = time.time() - path.stat().st_mtime > UNWANTED_SECONDS
            if path != kept and (old or image_id not in wanted):
                path.unlink()
