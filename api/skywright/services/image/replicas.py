"""Image data on several controllers: each has all of it, and an upload is done when most of them have its data.

A controller gives what it received to its peers, answers with a peer's data what it lacks itself, and looks now and
then for what it has to fetch. Requests between them are signed with the key that they share, the data's hash with them.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from skywright.auth.signatures import Signatures
from skywright.errors import Unavailable
from skywright.http.streaming import blocks, copy
from skywright.services.image.store import Content, Store
from skywright.services.image.tables import WITH_DATA, Image
from skywright.settings import Settings

log = logging.getLogger(__name__)

# Between two pieces of data; a peer that is away is to be noticed before the client gives up.
TIMEOUT = httpx.Timeout(30, connect=3)
PASSED_ON = ("content-length", "content-range", "accept-ranges")
# What goes on after a majority has the data; without a reference here it could end at any time.
_pushes: set[asyncio.Task[None]] = set()


def digest_of(row: Image | None) -> str | None:
    """The hash of the data that an image has, or that waits for its import; None if there is none."""
    if row is None or row.deleted_at is not None:
        return None
    if row.status in WITH_DATA:
        return row.os_hash_value
    return row.staged["os_hash_value"] if row.staged else None


def replica_path(image_id: str, digest: str) -> str:
    """The path of an image's data on a peer's port."""
    return f"/image/v2/images/{image_id}/replicas/{digest}"


class Replicas:
    """The other controllers' images."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.image_dir)

    async def give(self, image_id: str, content: Content) -> None:
        """Let the peers have what is in the store; Unavailable unless a majority of all controllers has it then."""
        peers = self._settings.peer_urls
        lacking = (len(peers) + 1) // 2  # this controller has it
        waiting = {asyncio.create_task(self._push(peer, image_id, content)) for peer in peers}
        _pushes.update(waiting)
        for task in waiting:
            task.add_done_callback(_pushed)
        while lacking > 0 and waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            lacking -= sum(task.exception() is None for task in done)
        if lacking > 0:
            raise Unavailable("Too few controllers can keep the image's data at the moment. Try again.")

    async def _push(self, peer: str, image_id: str, content: Content) -> None:
        path = self._store.path(image_id, content.os_hash_value)
        headers = {"Content-Length": str(content.size)}
        async with _client() as client:
            url = self._url(peer, "PUT", image_id, content.os_hash_value)
            (await client.put(url, content=blocks(path), headers=headers)).raise_for_status()

    async def relay(self, image_id: str, digest: str, headers: Mapping[str, str]) -> StreamingResponse | None:
        """An answer with the data that a peer has, or the part of it that *headers* ask for; None if nobody has it."""
        asked = {"Range": headers["range"]} if "range" in headers else {}
        peers = self._settings.peer_urls
        for peer in random.sample(peers, len(peers)):
            client = _client()
            request = client.build_request("GET", self._url(peer, "GET", image_id, digest), headers=asked)
            try:
                answer = await client.send(request, stream=True)
            except httpx.HTTPError as error:
                log.warning("image %s: %s does not give its data: %r", image_id, peer, error)
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
        """Fetch the data that this controller lacks from a peer; whether it is here now."""
        for peer in self._settings.peer_urls:
            try:
                async with self._source(peer, image_id, digest) as source:
                    await self.receive(image_id, digest, source)
                return True
            except (httpx.HTTPError, ValueError) as error:
                log.warning("image %s: cannot be fetched from %s: %r", image_id, peer, error)
        return False

    async def receive(self, image_id: str, digest: str, source: AsyncIterator[bytes]) -> None:
        """Store the data that comes from *source*; ValueError if it is not what the hash says."""
        limit = self._settings.max_image_bytes
        # A name of its own: a user's upload of the image may come in as well.
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
        log.warning("a controller does not take an image's data: %r", error)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
