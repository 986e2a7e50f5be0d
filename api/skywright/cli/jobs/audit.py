"""`skywright audit`: the audit trail, as a table or as JSON lines."""

import re
import sys
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def show(filters: dict[str, str | None], limit: int, *, json: bool) -> None:
    """Print the records that match *filters*."""
    parameters = {name: value for name, value in filters.items() if value is not None}
    if "since" in parameters:
        parameters["since"] = moment(parameters["since"], datetime.now(UTC))
    api = Api()
    if json:
        for line in api.lines("/audit", parameters):
            sys.stdout.write(f"{line}\n")
        return
    table = Table("When", "Who", "From", "What", "Status", "Jobs")
    for row in api.request("GET", "/audit", params={**parameters, "limit": str(limit)})["audit"]:
        table.add_row(
            row["at"][:19].replace("T", " "),
            escape(row["user_name"] or "-"),
            row["address"] or "-",
            escape(f"{row['method']} {row['path']}"),
            f"[{'green' if row['status'] < 400 else 'red'}]{row['status']}[/]",
            " ".join(job[:8] for job in row["jobs"]),
        )
    Console().print(table)


def moment(text: str, now: datetime) -> str:
    """Return a time, or an age before *now*, in the API's format."""
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if ago:
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError as error:
        raise StepFailed(f"{text} is not a time", "Use 2026-11-20T10:00, or an age: 30m, 12h, 7d.") from error
