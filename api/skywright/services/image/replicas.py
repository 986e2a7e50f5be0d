"""Image data on several controllers: each has all data, and an upload is successful when a majority has its data.

A controller sends received data to its peers, serves a peer's data if it has none itself, and periodically fetches
missing data. Requests between controllers are signed with a shared key, and include the hash of the data.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from skywright.auth.signatures import Signatures
from skywright.errors import Unavailable
from skywright.http.streaming import blocks, copy
from skywright.services.image.store import Content, Store
from skywright.services.image.tables import WITH_DATA, Image
from skywright.settings import Settings

# An API process without peers loads no HTTP client.
# ruff: noqa: PLC0415
if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

# Timeout between two pieces of data; a peer that does not answer must be noticed before the client's own timeout.
DATA_SECONDS, CONNECT_SECONDS = 30, 3
PASSED_ON = ("content-length", "content-range", "accept-ranges")
# Transfers that continue after a majority has the data. The reference prevents that they are garbage-collected.
_pushes: set[asyncio.Task[None]] = set()


def digest_of(row: Image | None) -> str | None:
    """Return the hash of the data that an image has, or that waits for its import; None if there is none."""
    if row is None or row.deleted_at is not None:
        return None
    if row.status in WITH_DATA:
        return row.os_hash_value
    return row.staged["os_hash_value"] if row.staged else None


def replica_path(image_id: str, digest: str) -> str:
    """Return the path of an image's data on a peer."""
    return f"/image/v2/images/{image_id}/replicas/{digest}"


class Replicas:
    """The other controllers' image services."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.image_dir)

    async def give(self, image_id: str, content: Content) -> None:
        """Send the data in the store to the peers; raise Unavailable unless most controllers then have it."""
        peers = self._settings.peer_urls
        lacking = (len(peers) + 1) // 2  # this controller has the data
        waiting = {asyncio.create_task(self._push(peer, image_id, content)) for peer in peers}
        _pushes.update(waiting)
        for task in waiting:
            task.add_done_callback(_pushed)
        while lacking > 0 and waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            lacking -= sum(task.exception() is None for task in done)
        if lacking > 0:
            raise Unavailable("Too few controllers are available to store the image's data. Try again.")

    async def _push(self, peer: str, image_id: str, content: Content) -> None:
        path = self._store.path(image_id, content.os_hash_value)
        headers = {"Content-Length": str(content.size)}
        async with _client() as client:
            url = self._url(peer, "PUT", image_id, content.os_hash_value)
            (await client.put(url, content=blocks(path), headers=headers)).raise_for_status()

    async def relay(self, image_id: str, digest: str, headers: Mapping[str, str]) -> StreamingResponse | None:
        """Return a response with a peer's data, or the range in *headers*; None if no peer has it."""
        import httpx

        asked = {"Range": headers["range"]} if "range" in headers else {}
        peers = self._settings.peer_urls
        for peer in random.sample(peers, len(peers)):
            client = _client()
            request = client.build_request("GET", self._url(peer, "GET", image_id, digest), headers=asked)
            try:
                answer = await client.send(request, stream=True)
            except httpx.HTTPError as error:
                log.warning("image %s: %s did not send its data: %r", image_id, peer, error)
                await client.aclose()
                continue
            if answer.status_code in (200, 206, 416):
                passed = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
                return StreamingResponse(
                    answer.aiter_raw(), answer.status_code, passed, background=BackgroundTask(client.aclose)
                )
            await client.aclose()
        return None

    async def fetch(self, image_id: str, digest: str) -> bool:
        """Fetch missing data from a peer; return whether this controller has it now."""
        import httpx

        for peer in self._settings.peer_urls:
            try:
                async with self._source(peer, image_id, digest) as source:
                    await self.receive(image_id, digest, source)
                return True
            except (httpx.HTTPError, ValueError) as error:
                log.warning("image %s: cannot be fetched from %s: %r", image_id, peer, error)
        return False

    async def receive(self, image_id: str, digest: str, source: AsyncIterator[bytes]) -> None:
        """Store the data from *source*; raise ValueError if its hash is wrong."""
        limit = self._settings.max_image_bytes
        # With its own name, because a user may upload data of the image at the same time.
        upload = await run_in_threadpool(self._store.receive, f"{image_id}.{digest[:8]}", limit)
        try:
            await copy(source, upload.write)
            content = await run_in_threadpool(upload.finish, None, None)
            if content.os_hash_value != digest:
                raise ValueError(f"the data's hash is {content.os_hash_value}")
            await run_in_threadpool(upload.keep, self._store.path(image_id, digest))
        finally:
            await run_in_threadpool(upload.close)

    @asynccontextmanager
    async def _source(self, peer: str, image_id: str, digest: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with _client() as client, client.stream("GET", self._url(peer, "GET", image_id, digest)) as answer:
            answer.raise_for_status()
            yield answer.aiter_raw()

    def _url(self, peer: str, method: str, image_id: str, digest: str) -> str:
        path = replica_path(image_id, digest)
        return peer + Signatures(self._settings.key_dir).sign(path, method=method)


def _pushed(task: asyncio.Task[None]) -> None:
    _pushes.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a controller did not accept an image's data: %r", error)


def _client() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(timeout=httpx.Timeout(DATA_SECONDS, connect=CONNECT_SECONDS), trust_env=False)
