"""Access rules: the requests that a token of an application credential may make."""

import functools
import re
from collections.abc import Iterable

from fastapi import Request

_WILDCARD = re.compile(r"(\*\*|\*|\{[^/{}]*\})")


def permitted(request: Request, rules: Iterable[tuple[str, str, str]] | None) -> bool:
    """Return whether one of *rules* allows *request*; True if *rules* is None."""
    if rules is None:
        return True
    service = request.app.state.service.type
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return any(
        wanted == service and method == request.method and pattern(template).fullmatch(path)
        for wanted, method, template in rules
    )


@functools.lru_cache(maxsize=1024)
def pattern(template: str) -> re.Pattern[str]:
    """Return the regular expression of a path pattern: `*` and `{name}` match one part of a path, `**` any number of
    parts.
    """
    parts = _WILDCARD.split(template)
    return re.compile("".join(_expression(part) for part in parts))


def _expression(part: str) -> str:
    if part == "**":
        return ".*"
    return "[^/]+" if _WILDCARD.fullmatch(part) else re.escape(part)
