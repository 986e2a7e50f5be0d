"""Which policy rules a route has."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Rules = str | Sequence[str] | None
# In a rule's place: a valid token is enough.
AUTHENTICATED = ""


class OnTarget(tuple[str, ...]):
    """Rules that a route's handler enforces, for they depend on what the request is about: one of *alternatives*."""

    alternatives: Sequence[str]


def on_target(*rules: str, also: Sequence[str] = ()) -> OnTarget:
    """The rules of a route whose handler enforces one of *rules*, and those of *also* where they matter."""
    found = OnTarget((*rules, *also))
    found.alternatives = rules
    return found


def governed(policy: Rules) -> Callable[[Endpoint], Endpoint]:
    """Name an endpoint's rules: the first is enforced before its handler runs, the handler enforces the others.

    None: the endpoint needs no token.
    """

    def register(endpoint: Endpoint) -> Endpoint:
        endpoint.rules = (policy,) if isinstance(policy, str) else policy  # type: ignore[attr-defined]
        return endpoint

    return register


def rules_of(request: Request) -> Sequence[str] | None:
    """The rules of the route of *request*; None if it needs no token. AttributeError for a route that says neither."""
    rules: Sequence[str] | None = request.scope["route"].endpoint.rules
    return rules
