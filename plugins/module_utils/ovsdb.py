# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open vSwitch's database: all tables in one read, all writes in one transaction."""

from __future__ import annotations

import json

OPTIONS = ["ovs-vsctl", "--timeout=20"]


class Ovsdb:
    """The database of the local switch, accessed by ovs-vsctl."""

    def __init__(self, runner):
        self.runner = runner

    def read(self, **tables):
        """Read whole tables at once: read(Bridge=["name"]) -> {"Bridge": [{"name": "br-int", "_uuid": ...}]}.

        Every row also has its C(_uuid); sets come as lists, maps as dictionaries, references as UUID strings.
        """
        argv = [*OPTIONS, "--format=json"]
        for table, columns in tables.items():
            argv += ["--", "--columns=" + ",".join(["_uuid", *columns]), "list", table]
        return dict(zip(tables, _documents(self.runner.read(argv))))

    def transact(self, commands, wait=False):
        """Send commands (argv lists of ovs-vsctl) as one transaction; C(wait) for the switch to apply it."""
        argv = list(OPTIONS) if wait else [*OPTIONS, "--no-wait"]
        for command in commands:
            argv += ["--", *command]
        self.runner.write(argv)


def members(value):
    """Return the members of a set as a list; OVSDB prints a set of one member as that member."""
    return value if isinstance(value, list) else [value]


def _documents(text):
    decoder, position, rows = json.JSONDecoder(), 0, []
    text = text.strip()
    while position < len(text):
        document, position = decoder.raw_decode(text, position)
        rows.append([dict(zip(document["headings"], map(_value, row))) for row in document["data"]])
        while position < len(text) and text[position].isspace():
            position += 1
    return rows


def _value(cell):
    if not isinstance(cell, list):
        return cell
    kind, content = cell
    if kind == "set":
        return [_value(member) for member in content]
    if kind == "map":
        return {key: _value(value) for key, value in content}
    return content
