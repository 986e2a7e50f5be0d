"""The lifecycle of a note on one host, this machine: `python scenario.py STATE NOTES` prints the results as JSON.

It runs in a copy of the project that has the kind `note`, with the API and a worker in one process.
"""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from skywright.app import create_app
from skywright.core import Core
from skywright.db.jobs import Host
from skywright.db.migrate import upgrade
from skywright.jobs.worker import Worker
from skywright.services import bootstrap, registry
from skywright.settings import Settings

PASSWORD = "secret-of-the-tests"
STRAY = "7f3f2f6e-0c0a-4b7e-9d0e-6a1c3f0b7a11"
LIMIT_SECONDS = 60


class Story:
    """The requests and their results."""

    def __init__(self, client: httpx.AsyncClient, notes: Path) -> None:
        self.client, self.notes, self.seen = client, notes, dict[str, Any]()

    async def tell(self) -> dict[str, Any]:
        await self._log_in()
        await self._create()
        await self._repair()
        await self._delete()
        return self.seen

    async def _log_in(self) -> None:
        self.seen["without a token"] = (await self.client.get("/notes/notes/x")).status_code
        user = {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = await self.client.post("/identity/v3/auth/tokens", json=body)
        self.seen["catalog"] = sorted(entry["type"] for entry in answer.json()["token"]["catalog"])
        self.client.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    async def _create(self) -> None:
        body = {"text": "hello", "host": "here"}
        plan = {"service": "notes", "method": "POST", "path": "/notes", "body": body}
        self.seen["plan"] = (await self.client.post("/v1/plan", json=plan)).json()
        self.seen["after the plan"] = self._files()
        answer = await self.client.post("/notes/notes", json=body)
        self.seen["accepted"] = answer.status_code
        assert answer.status_code == 202, answer.text
        self.id = answer.json()["note"]["id"]
        await self._until(lambda note: note.json()["note"]["status"] != "BUILD")
        self.seen["created"] = (await self.client.get(f"/notes/notes/{self.id}")).json()["note"]["status"]
        self.seen["on the host"] = self._files()
        self.seen["clean"] = await self._drift()

    async def _repair(self) -> None:
        (self.notes / self.id).write_text("spoiled")
        (self.notes / STRAY).write_text("stray")
        self.seen["drift"] = await self._drift()
        await self.client.post("/v1/converge", json={})
        await self._until(lambda _note: self._files() == {self.id: "hello"})
        self.seen["repaired"] = self._files()

    async def _delete(self) -> None:
        self.seen["deleting"] = (await self.client.delete(f"/notes/notes/{self.id}")).status_code
        await self._until(lambda note: note.status_code == 404)
        self.seen["deleted"] = self._files()

    async def _drift(self) -> dict[str, Any]:
        answer = await self.client.post("/v1/drift", json={})
        assert answer.status_code == 200, answer.text
        report = answer.json()
        return {
            "state": report["state"],
            "resources": [
                [one["type"], one["differences"][0]["text"]] for one in report["resources"] if one["type"] == "note"
            ],
            "leftovers": [[one["type"], one["id"]] for one in report["leftovers"] if one["type"] == "note"],
        }

    async def _until(self, condition: Any) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not condition(await self.client.get(f"/notes/notes/{self.id}")):
            if time.monotonic() > end:
                raise SystemExit(f"timeout: {self.seen}")
            await asyncio.sleep(0.05)

    def _files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.notes.iterdir())}


async def main() -> None:
    state, notes = Path(sys.argv[1]), Path(sys.argv[2])
    settings = Settings(state_dir=state, observe_seconds=0)
    upgrade(settings.database_url)
    app = create_app(settings)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    bootstrap.bootstrap(app.cloud.database, settings, {"admin": PASSWORD})
    with app.cloud.database.write() as session:
        session.add(Host(name="here", groups=["computes"], variables={**local, "notes_directory": str(notes)}))
    worker = Worker(Core(settings, registry.kinds()))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=LIMIT_SECONDS) as client:
            print(json.dumps(await Story(client, notes).tell()))
    finally:
        worker.stop()
        thread.join()


asyncio.run(main())
