"""The policy rules of routes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Rules = str | Sequence[str] | None
# Instead of a rule: every valid token is enough.
AUTHENTICATED = ""


class OnTarget(tuple[str, ...]):
    """Rules that the handler of a route enforces, because they depend on the target: one of *alternatives*."""

    alternatives: Sequence[str]


def on_target(*rules: str, also: Sequence[str] = ()) -> OnTarget:
    """Return the rules of a route whose handler enforces one of *rules*, and those of *also* in some cases."""
    found = OnTarget((*rules, *also))
    found.alternatives = rules
    return found


def with_rules(policy: Rules) -> Callable[[Endpoint], Endpoint]:
    """Set the rules of an endpoint. The first is enforced before its handler runs, the handler enforces the others.

    None: the endpoint needs no token.
    """

    def register(endpoint: Endpoint) -> Endpoint:
        endpoint.rules = (policy,) if isinstance(policy, str) else policy  # type: ignore[attr-defined]
        return endpoint

    return register


def rules_of(request: Request) -> Sequence[str] | None:
    """Return the rules of the route of *request*; None if it needs no token. Raises AttributeError if none are set."""
    rules: Sequence[str] | None = request.scope["route"].endpoint.rules
    return rules
