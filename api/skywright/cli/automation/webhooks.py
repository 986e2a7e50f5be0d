"""`skywright webhooks`: URLs that get notifications when jobs end."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.automation.playbooks import text_of
from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api

SHOWN_DELIVERIES = 20
COLORS = {"delivered": "green", "pending": "yellow"}


def show_all(console: Console) -> None:
    """Print a table of the webhooks."""
    table = Table("Webhook", "URL", "Of", "Ends", "For", "Last delivery")
    for row in Api().request("GET", "/webhooks")["webhooks"]:
        of = f"project {row['project_id'][:8]}" if row["project_id"] else "all projects"
        last = _state(row["last_delivery"]) if row["last_delivery"] else ""
        states = ", ".join(row["states"])
        table.add_row(row["id"][:8], escape(row["url"]), of, states, escape(row["description"]), last)
    console.print(table)


def show(console: Console, start: str) -> None:
    """Print a webhook, and its last deliveries."""
    api = Api()
    row = _find(api, start)
    facts = Table.grid(padding=(0, 2))
    for key, value in row.items():
        if key != "last_delivery":
            facts.add_row(f"[dim]{key}[/]", escape(", ".join(value) if isinstance(value, list) else str(value)))
    console.print(facts)
    table = Table("Delivery", "Job", "Since", "State", "Attempts", "Next")
    found = api.request("GET", f"/webhooks/{row['id']}/deliveries", params={"limit": SHOWN_DELIVERIES})
    for one in found["deliveries"]:
        times = (one["created_at"][:19].replace("T", " "), (one["next_at"] or "")[11:19])
        table.add_row(one["id"][:8], one["job_id"][:8], times[0], _state(one), str(one["attempts"]), times[1])
    console.print(table)


def add(console: Console, wanted: dict[str, Any], secret_file: Path | None) -> None:
    """Create a webhook, and show its secret if it was generated."""
    if secret_file is not None:
        wanted = {**wanted, "secret": text_of(f"@{secret_file}").strip()}
    row = Api().request("POST", "/webhooks", json={"webhook": wanted})["webhook"]
    console.print(f"webhook {row['id']}", highlight=False)
    if secret_file is None:
        console.print(f"secret  {row['secret']}", highlight=False, soft_wrap=True)


def remove(console: Console, start: str) -> None:
    """Remove a webhook."""
    api = Api()
    row = _find(api, start)
    api.request("DELETE", f"/webhooks/{row['id']}")
    console.print(f"{escape(row['url'])} is removed", highlight=False, soft_wrap=True)


def _find(api: Api, start: str) -> dict[str, Any]:
    found = [row for row in api.request("GET", "/webhooks")["webhooks"] if row["id"].startswith(start)]
    if len(found) != 1:
        raise StepFailed(f"{len(found)} webhooks begin with {start}", "See `skywright webhooks list`.")
    row: dict[str, Any] = found[0]
    return row


def _state(delivery: dict[str, Any]) -> str:
    state = delivery["state"]
    why = delivery["reason"] or delivery["status"] or ""
    return f"[{COLORS.get(state, 'red')}]{state}[/] {escape(str(why))}".rstrip()
