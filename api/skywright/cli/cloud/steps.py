"""The display of steps: the current task, the time, and advice if a step fails."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from skywright.cli.failure import StepFailed

__all__ = ["Report", "StepFailed", "Steps"]
Report = Callable[[str], None]


class Steps:
    """Shows steps with their times; on a terminal also their current tasks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, tuple[float, str, Spinner]] = {}
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "Steps":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Run a step; yield a function that shows its current task. Steps may run in parallel."""
        started = time.monotonic()
        spinner = Spinner("dots")

        def report(detail: str) -> None:
            self._running[title] = (started, detail, spinner)

        report("")
        if not self._console.is_terminal:
            self._console.print(f"... {escape(title)}")
        try:
            yield report
        except BaseException:
            self._console.print(f"[red]✗[/] {escape(title)} [dim]{time.monotonic() - started:.1f} s[/]")
            raise
        finally:
            self._running.pop(title, None)
        self._console.print(f"[green]✓[/] {escape(title)} [dim]{time.monotonic() - started:.1f} s[/]")

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for title, (started, detail, spinner) in list(self._running.items()):
            clock = f"[dim]{time.monotonic() - started:5.1f} s[/]"
            table.add_row(spinner, escape(title), clock, f"[dim]{escape(detail[:60])}[/]")
        return table
