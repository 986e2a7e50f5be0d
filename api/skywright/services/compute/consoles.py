"""A server's console log: read from its host by a job that the request waits for."""

import time
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from skywright.db.jobs import UNFINISHED, Job
from skywright.http import ApiError, Context
from skywright.jobs.engine.submit import submit
from skywright.services.compute import server_action_bodies as bodies
from skywright.services.compute.server_states import find_server, require
from skywright.services.compute.tables import BOOTED

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.02


def console_output(context: Context, server_id: str, argument: Any) -> dict[str, Any]:
    """Return the end of the server's console log; *argument* is `{"length": lines}` or `{}`."""
    wanted = bodies.argument(bodies.ConsoleOutput, "os-getConsoleOutput", argument).length
    length = None if wanted == -1 else wanted
    server = find_server(context, server_id, "os_compute_api:os-console-output")
    require(server, "get_console_output", BOOTED, None)
    context.refuse_plan("a console log is read immediately.")
    with context.writing() as session:
        inner = replace(context, db=session)
        # Its own resource, so that reading does not wait for jobs that change the server.
        job = submit(inner, "console", "read", [("console", server_id)], {"server_id": server_id, "length": length})
        session.flush()
    return {"output": _result(context, job.id)}


def _result(context: Context, job_id: str) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    query = select(Job.state, Job.result, Job.error).where(Job.id == job_id)
    while time.monotonic() < deadline:
        with context.cloud.database.read() as session:
            state, result, error = session.execute(query).one()
        if state == "successful":
            return str((result or {}).get("output", ""))
        if state not in UNFINISHED:
            raise ApiError(f"The console log cannot be read: {error or state}", status=500)
        time.sleep(POLL_SECONDS)
    raise ApiError("The console log could not be read in time; the job goes on, try again.", status=503)
