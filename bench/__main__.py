"""`python -m bench`: measure the cloud that `make cloud` made."""

import signal
import time
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from bench import report
from bench.client import ApiError, Client
from bench.cloud import Cloud
from bench.measures import (
    Context,
    Measure,
    busy,
    crowded,
    events,
    fleet,
    idle,
    mixture,
    overhead,
    scale,
    servers,
    submissions,
    together,
    tokens,
)
from bench.stats import Row, number

ROOT = Path(__file__).parents[1]
MEASURES: dict[str, Measure] = {
    "servers": servers.measure,
    "crowded": crowded.measure,
    "mixture": mixture.measure,
    "busy": busy.measure,
    "overhead": overhead.measure,
    "together": together.measure,
    "submissions": submissions.measure,
    "events": events.measure,
    "tokens": tokens.measure,
    "scale": scale.measure,
    "idle": idle.measure,
    "fleet": fleet.measure,
}


def main(
    only: Annotated[str, typer.Option(help="Comma-separated: " + ", ".join(MEASURES))] = ",".join(MEASURES),
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds of creating and deleting servers.")] = 10,
    cloud: Annotated[str, typer.Option(help="A cloud in clouds.yaml, as administrator.")] = "skywright",
    output: Annotated[Path, typer.Option(help="The JSON file of results.")] = ROOT / "var" / "bench.json",
) -> None:
    """Measure a running cloud; print a table and write a JSON file."""
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := set(chosen) - MEASURES.keys():
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}", param_hint="--only")
    signal.signal(signal.SIGTERM, _interrupt)
    console, rows, started = Console(), list[Row](), datetime.now(UTC)
    begun = time.monotonic()
    try:
        with ExitStack() as stack:
            context = Context(
                lambda: stack.enter_context(Cloud(Client.of_cloud(ROOT / "clouds.yaml", cloud))), ROOT, rounds
            )
            for name in chosen:
                with console.status(f"{name} ...") if console.is_terminal else nullcontext():
                    for row in MEASURES[name](context):
                        rows.append(row)
                        console.print(f"{row.name}: [bold]{number(row.median)}[/] {row.unit}", highlight=False)
    except (ApiError, OSError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        raise typer.Exit(1) from error
    finally:
        if rows:
            seconds = round(time.monotonic() - begun, 1)
            report.write(output, rows, started=started.isoformat(timespec="seconds"), seconds=seconds)
            report.show(console, rows)
            console.print(f"[dim]{output}[/]")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Handle SIGTERM like ^C, so that all created resources are deleted."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
