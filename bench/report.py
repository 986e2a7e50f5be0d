"""The result as a table on the screen and as a JSON file."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.stats import Row, number

MET = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}


def table(rows: Sequence[Row]) -> Table:
    """Return the table of all rows with their targets."""
    shown = Table("", "median", "min", "max", "unit", "n", "target", "")
    for column in shown.columns[1:4]:
        column.justify = "right"
    for row in rows:
        target = "" if row.target is None else str(row.target)
        numbers = (number(value) for value in (row.median, min(row.values), max(row.values)))
        shown.add_row(row.name, *numbers, row.unit, str(len(row.values)), target, MET[row.met])
    return shown


def document(rows: Sequence[Row], **facts: Any) -> dict[str, Any]:
    """Return the content of the JSON file."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = {"cores": os.cpu_count(), "memory_gib": round(pages / 2**30, 1), "kernel": platform.release()}
    return {"machine": machine, **facts, "results": {row.name: row.as_dict() for row in rows}}


def write(path: Path, rows: Sequence[Row], **facts: Any) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(rows, **facts), indent=2, ensure_ascii=False) + "\n")


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print the table."""
    console.print(table(rows))
