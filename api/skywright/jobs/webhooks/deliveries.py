"""The thread of a worker that sends due deliveries to webhooks. Jobs never wait for it."""

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.webhooks import Delivery
from skywright.jobs.webhooks import announce
from skywright.jobs.webhooks.announce import Attempt

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AT_ONCE = 16
STOP_SECONDS = 2.0


class Deliveries:
    """Sends to several receivers in parallel, but one delivery at a time to each, so that a slow receiver delays only
    itself.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._networks = core.settings.webhook_network_list
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        # Name servers may be slow, too: name resolution must not delay the recording of outcomes.
        self._records = ThreadPoolExecutor(1, thread_name_prefix="webhooks")
        self._resolver = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolver")

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Start no further delivery. Another worker repeats the attempts that do not end now."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        self._records.shutdown(wait=False, cancel_futures=True)
        self._resolver.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                if self._due():
                    asyncio.run(self._deliver())
            except Exception:
                log.exception("webhooks cannot be notified at the moment")

    def _due(self) -> bool:
        due = select(Delivery.id).where(Delivery.state == announce.PENDING, Delivery.next_at <= utcnow())
        with self._core.database.read() as session:
            return session.scalar(due.limit(1)) is not None

    async def _deliver(self) -> None:
        """Send until no delivery is due and none is in progress."""
        loop = asyncio.get_running_loop()
        sending: dict[str, asyncio.Task[None]] = {}
        while not self._stopping.is_set():
            taken = await loop.run_in_executor(self._records, self._take, AT_ONCE - len(sending), list(sending))
            sending |= {attempt.webhook_id: asyncio.create_task(self._send(attempt)) for attempt in taken}
            if not sending:
                return
            timeout = None if len(sending) == AT_ONCE else LOOK_SECONDS
            done, _ = await asyncio.wait(sending.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            sending = {webhook: task for webhook, task in sending.items() if task not in done}
        for task in sending.values():
            task.cancel()

    def _take(self, most: int, busy: list[str]) -> list[Attempt]:
        with self._core.database.write() as session:
            return announce.take(session, self._core.secrets, most, busy, utcnow())

    async def _send(self, attempt: Attempt) -> None:
        from skywright.jobs.webhooks import receivers  # noqa: PLC0415 - a worker without webhooks needs no HTTP client

        signed = announce.headers(attempt, utcnow())
        try:
            status, reason = await receivers.send(attempt.url, signed, attempt.body, self._networks, self._resolver)
        except Exception as error:
            log.exception("delivery %s cannot be sent", attempt.delivery_id)
            status, reason = None, f"It could not be sent: {type(error).__name__}"
        fields = (attempt.delivery_id, attempt.webhook_id, attempt.number, reason or status)
        log.log(logging.WARNING if reason else logging.INFO, "delivery %s to webhook %s, attempt %d: %s", *fields)
        # Otherwise it is due again later: two deliveries are better than none.
        with contextlib.suppress(RuntimeError):
            await asyncio.get_running_loop().run_in_executor(self._records, self._note, attempt, status, reason)

    def _note(self, attempt: Attempt, status: int | None, reason: str | None) -> None:
        try:
            with self._core.database.write() as session:
                announce.record_outcome(session, attempt, status, reason, utcnow())
        except Exception:
            log.exception("delivery %s: its outcome is not recorded", attempt.delivery_id)
