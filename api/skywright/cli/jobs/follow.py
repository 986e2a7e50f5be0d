"""`skywright jobs follow`: the progress of jobs, as bars on a terminal, else as lines."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api, colored

PAUSE_SECONDS = 1.0
BAR_WIDTH = 20


def follow(console: Console, job: str | None, resource: str | None, project: str | None) -> bool:
    """Follow one job until it ends, or jobs of a resource, a project or all; return whether the job was successful."""
    if sum(given is not None for given in (job, resource, project)) > 1:
        raise StepFailed("A job, a resource or a project can be followed", "Name one of them.")
    api = Api()
    board = Board(console, alone=job is not None)
    stream = api.stream(f"/jobs/{api.job_id(job)}/follow") if job else _endless(api, resource, project)
    with board, suppress(KeyboardInterrupt):
        for kind, data in stream:
            board.show(kind, data)
    return board.well


def _endless(api: Api, resource: str | None, project: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The API ends a stream when its token expires; then another stream continues with a new token."""
    path, parameters = "/follow", {}
    if resource is not None:
        kind, slash, key = resource.partition("/")
        if not slash:
            raise StepFailed(f"{resource} is not a resource", "Name its type and id: server/0a1b...")
        path = f"/resources/{quote(kind, safe='')}/{quote(key, safe='')}/follow"
    elif project is not None:
        parameters["project_id"] = api.project_id(project)
    while True:
        yield from api.stream(path, parameters)
        time.sleep(PAUSE_SECONDS)


class Board:
    """The unfinished jobs."""

    def __init__(self, console: Console, *, alone: bool) -> None:
        self._console, self._alone = console, alone
        self._bars: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[step]}[/]", table_column=Column(no_wrap=True, ratio=1)),
            console=console,
            transient=True,
            expand=True,
        )
        self.well = True

    def __enter__(self) -> "Board":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Handle a message of the stream."""
        if kind == "event":
            for item in data.get("items", []):
                if item.get("error"):
                    self._say(f"[red]✗[/] {escape(data['task'] or '')}: {escape(str(item['error']))}")
        elif kind == "job":
            self._job(data)

    def _job(self, job: dict[str, Any]) -> None:
        ended = job["finished_at"] is not None
        name = f"{job['id'][:8]} {escape(job['playbook'])} {escape(job['action'])}"
        on = escape(", ".join(f"{row['type']} {row['id'][:8]}" for row in job["resources"]))
        title = f"{name} [dim]{on}[/] {colored(job['state'])}"
        step = (
            "" if ended else (f"waits: {job['waiting_for']}" if job["waiting_for"] else job["progress"]["task"] or "")
        )
        if ended:
            self.well = self.well and (not self._alone or job["state"] == "successful")
            self._end(job["id"])
            self._say(f"{title} {escape(job['error'] or '')}".rstrip())
        elif self._console.is_terminal:
            self._update(job, f"{name} {colored(job['state'])}", escape(step))
        elif self._said.get(job["id"]) != (line := f"{title} {_steps(job)} {escape(step)}".rstrip()):
            self._said[job["id"]] = line
            self._say(line)

    def _update(self, job: dict[str, Any], title: str, step: str) -> None:
        bar = self._bars.get(job["id"])
        if bar is None:
            bar = self._bars[job["id"]] = self._progress.add_task(title, total=None, step=step)
            (task,) = (task for task in self._progress.tasks if task.id == bar)
            task.start_time = self._progress.get_time() - _age(job)
        done, total = job["progress"]["done"], job["progress"]["total"] or None
        self._progress.update(bar, description=title, completed=done, total=total, step=step)

    def _end(self, job_id: str) -> None:
        self._said.pop(job_id, None)
        bar = self._bars.pop(job_id, None)
        if bar is not None:
            self._progress.remove_task(bar)

    def _say(self, text: str) -> None:
        clock = "" if self._console.is_terminal else f"{datetime.now():%H:%M:%S} "
        self._console.print(f"{clock}{text}", soft_wrap=True, highlight=False)


def _age(job: dict[str, Any]) -> float:
    """Return the age of the job in seconds."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(job["created_at"])).total_seconds())


def _steps(job: dict[str, Any]) -> str:
    progress = job["progress"]
    return f"{progress['done']}/{progress['total']}" if progress["total"] else ""
