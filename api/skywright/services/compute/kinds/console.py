"""Jobs that read console logs of servers, for requests that wait for them."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db.jobs import Job
from skywright.services.compute.tables import Server

LIMIT_SECONDS = 300.0


class ConsoleKind:
    """Jobs with the action `read`, of one server each; their argument is the number of lines (None: all)."""

    name = playbook = "console"
    read_only, probing = True, False

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        work = Work(timeout_seconds=LIMIT_SECONDS)
        ids = {job.arguments["server_id"] for job in jobs}
        query = select(Server.id, Server.host).where(Server.id.in_(ids), Server.deleted_at.is_(None))
        hosts = {row.id: row.host for row in session.execute(query)}
        for job in jobs:
            server_id = job.arguments["server_id"]
            host = hosts.get(server_id)
            if host is None:
                work.refused[job.id] = f"Instance {server_id} is on no host."
                continue
            item = {"id": server_id, "length": job.arguments["length"]}
            # Only one job of each server in a run, because they use the same resource.
            work.items.setdefault(host, {}).setdefault("servers", []).append(item)
            work.depends[job.id] = {(host, server_id)}
            work.fail_fast.add(job.id)  # a request waits for it
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        if outcome.ok:
            job.result = {"output": "".join(str(result.get("output", "")) for result in outcome.results)}
