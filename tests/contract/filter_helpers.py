"""Tests of filters with two rows: a filter finds one of them, both or none."""

import re
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from openstack.connection import Connection

from contract.conftest import Api

OLD, NEW = datetime(2020, 1, 2, 3, 4, 5, 678901), datetime(2030, 1, 2, 3, 4, 5)
SHOWN = "2020-01-02T03:04:05Z"  # OLD as lists show it
A, B, BOTH, NONE = "a", "b", "ab", ""


class Rows(NamedTuple):
    """The ids of two rows, and values that queries refer to by name: `<image>`."""

    a: str
    b: str
    names: dict[str, str]

    def fill(self, query: str) -> str:
        for name, value in self.names.items():
            query = query.replace(f"<{name}>", quote(value, safe=""))
        return query


class Ask:
    """Requests for lists by one user."""

    def __init__(self, api: Api, connection: Connection) -> None:
        self.url, self.session = api.url, connection.session

    def get(self, path: str, version: str = "2.96") -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return self.session.get(f"{self.url}/{path}", headers=headers, raise_exc=False)

    def found(self, path: str, rows: Rows, query: str, version: str = "2.96") -> str:
        """Return which of the two rows the list contains."""
        answer = self.get(rows.fill(f"{path}?{query}"), version)
        assert answer.status_code == 200, answer.text
        key = path.removesuffix("/detail").rpartition("/")[2].replace("-", "_")
        ids = {str(row.get("id") or row.get("namespace") or row["network_id"]) for row in answer.json()[key]}
        return "".join(name for name, row in (("a", rows.a), ("b", rows.b)) if row in ids)


def parameters(queries: list[tuple[str, str]]) -> set[str]:
    """Return the names of all parameters in *queries*."""
    return {name for query, _ in queries for name in re.findall(r"(?:^|&)([^=&]+)=", query)}
