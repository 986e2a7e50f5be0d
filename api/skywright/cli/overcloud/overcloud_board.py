"""The progress of an overcloud's job: its stages, one for each play, with times."""

from contextlib import ExitStack, suppress
from typing import Any

from rich.console import Console
from rich.markup import escape

from skywright.cli.cloud.steps import Report, Steps
from skywright.cli.jobs.show import Api, colored

TASK_START = "playbook_on_task_start"


class _StageFailed(Exception):
    """Ends a stage that failed."""


class Board:
    """Shows each stage while it runs, and its outcome."""

    def __init__(self, console: Console) -> None:
        self._console, self._steps = console, Steps(console)
        self._all = ExitStack()
        self._stage: ExitStack | None = None
        self._name: str | None = None
        self._report: Report = lambda _text: None
        self._failed = False
        self.well = False

    def __enter__(self) -> "Board":
        self._all.enter_context(self._steps)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end_stage()
        self._all.close()

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Handle a message of the job's stream."""
        if kind == "event" and data["kind"] == TASK_START:
            self._task(data)
        elif kind == "event":
            self._failure(data)
        elif kind == "job":
            self._job(data)

    def _task(self, event: dict[str, Any]) -> None:
        if event.get("play") != self._name:
            self._end_stage()
            self._name = event.get("play")
            self._stage = ExitStack()
            self._report = self._stage.enter_context(self._steps.step(str(self._name)))
        self._report(event["task"] or "")

    def _failure(self, event: dict[str, Any]) -> None:
        if event["kind"] not in ("runner_on_failed", "runner_on_unreachable") or event.get("ignored"):
            return
        self._failed = True
        for text in failures(event):
            self._say(f"  [red]{escape(str(event['host']))}[/]: {escape(str(event['task']))}: {escape(text)}")

    def _job(self, job: dict[str, Any]) -> None:
        if job["finished_at"] is not None:
            self._end_stage()
            self.well = job["state"] == "successful"
            error = "" if job["error"] is None else f": {escape(job['error'])}"
            self._say(f"job {job['id']} {colored(job['state'])}{error}")
        elif job["waiting_for"] and job["state"] == "queued":
            self._report(f"waits: {job['waiting_for']}")

    def _end_stage(self) -> None:
        if self._stage is None:
            return
        stage, self._stage = self._stage, None
        with suppress(_StageFailed), stage:
            if self._failed:
                raise _StageFailed
        self._name, self._failed = None, False

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)


def follow(console: Console, api: Api, job_id: str) -> bool:
    """Show the job until it ends; return whether it was successful. An interruption does not end the job."""
    console.print(f"job {job_id}", highlight=False)
    with Board(console) as board:
        try:
            for kind, data in api.stream(f"/jobs/{job_id}/follow"):
                board.show(kind, data)
        except KeyboardInterrupt:
            console.print(f"The job continues: `skywright jobs follow {job_id}`.", highlight=False)
    return board.well


def failures(event: dict[str, Any]) -> list[str]:
    """Return why a task failed: the errors of its items, or its own message."""
    errors = [str(item["error"]) for item in event.get("items", []) if item.get("error")]
    return errors or [str(event.get("message"))]
