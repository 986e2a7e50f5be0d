"""`skywright services`: the services of the API and their URLs."""

import json

from rich.console import Console
from rich.table import Table

from skywright.services import registry


def show_services(console: Console, *, as_json: bool) -> None:
    """Print each service's type and name in the catalog, its path on the API's port, and its classic port."""
    rows = [
        {"type": service.type, "name": service.name, "path": service.prefix, "port": service.port}
        for service in registry.services()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("Type", "Name", "Path", "Port")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)
