"""Access rules: the requests that a token of a limited application credential may make."""

import functools
import re
from collections.abc import Iterable

from fastapi import Request

_WILDCARD = re.compile(r"(\*\*|\*|\{[^/{}]*\})")


def permitted(request: Request, rules: Iterable[tuple[str, str, str]] | None) -> bool:
    """Whether one of *rules* allows *request*; without a list of rules everything is."""
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
    """`/v2.1/servers/*/ips`: `*` and `{name}` stand for one part of a path, `**` for any number of parts."""
    parts = _WILDCARD.split(template)
    return re.compile("".join(_expression(part) for part in parts))


def _expression(part: str) -> str:
    if part == "**":
        return ".*"
    return "[^/]+" if _WILDCARD.fullmatch(part) else re.escape(part)
