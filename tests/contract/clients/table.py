"""Tables of what clients can do: text files with commands as users type them.

user create alice                      it works
user show alice    = {"name": "alice"} it works, and its JSON output contains this
credential create alice blob  -> cert  it works; `$cert` in later lines is the `id` of its output
server create web  -> fault=fault     ... or another field of it
server suspend web  ! not offered      it is refused, and the error contains this text
[This cloud has no routers yet.]       all lines below are refused like this; missing arguments are made up
limit delete x  ~                      the client reports success although it is refused
[This cloud has no routers yet. | x]   ... or the client reports x instead
# comment                              a group ends at a blank line

"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

MARK = re.compile(r"\s+(->|=|!|~)(?:\s|$)")


class Mismatch(Exception):
    """The result of a client differs from its line."""


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    text: str
    where: str  # file:line
    reason: str | None = None  # why it is refused
    refusals: tuple[str, ...] = ()  # one of these is in the client's error
    silent: bool = False  # the client reports success
    made_up: bool = False  # arguments are
    shows: str | None = None  # JSON
    keeps: tuple[str, str, str] | None = None  # a name, the field of the output that it refers to, a pattern in it


def read(path: Path) -> list[Line]:
    """Return the lines of the table *path*."""
    lines, group = [], None
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            group = None if not text else group
        elif text.startswith("["):
            group = text.strip("[]")
        else:
            lines.append(_line(text, f"{path.name}:{number}", group))
    return lines


def _line(text: str, where: str, group: str | None) -> Line:
    text, *marks = MARK.split(text)
    said = dict(zip(marks[::2], marks[1::2], strict=True))
    name, _, field = said.get("->", "").partition("=")
    field, _, pattern = field.partition("/")
    refusals = said.get("!", "" if "=" in said else group or "").split(" | ")
    return Line(
        text,
        where,
        reason=(group or said.get("!", "")).partition(" | ")[0] or None,
        refusals=tuple(filter(None, refusals)),
        silent="~" in said,
        made_up=group is not None,
        shows=said.get("="),
        keeps=(name, field or "id", pattern.strip("/") or "(.*)") if name else None,
    )


def kept(output: Any, field: str, pattern: str) -> str:
    """Return what *pattern* matches in the *field* of *output*."""
    found = re.search(pattern, str((output[0] if isinstance(output, list) else output)[field]))
    assert found
    return found[1]


def check(output: Any, line: Line, names: Mapping[str, Any]) -> None:
    """Raise Mismatch unless *output* contains the result in the line."""
    if line.shows is not None:
        wanted = json.loads(Template(line.shows).substitute(names))
        if not holds(output, wanted):
            raise Mismatch(f"it shows {narrowed(output, wanted)}")


def holds(output: Any, wanted: Any) -> bool:
    """Whether *output* contains *wanted*: objects may have more fields, and lists that end with "..." more items."""
    if isinstance(wanted, dict):
        return isinstance(output, dict) and all(key in output and holds(output[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        items = [item for item in wanted if item != "..."]
        complete = len(items) < len(wanted) or len(items) == len(output)
        return isinstance(output, list) and complete and all(any(holds(one, item) for one in output) for item in items)
    return bool(output == wanted)


def narrowed(output: Any, wanted: Any) -> Any:
    """Return the part of *output* that is compared with *wanted*."""
    if isinstance(wanted, dict) and isinstance(output, dict):
        return {key: narrowed(output.get(key), wanted[key]) for key in wanted}
    if isinstance(wanted, list) and isinstance(output, list):
        fields = {key: value for item in wanted if isinstance(item, dict) for key, value in item.items()}
        return [narrowed(item, fields) for item in output]
    return output
