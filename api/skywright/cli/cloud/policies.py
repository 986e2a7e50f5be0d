"""`skywright policy list`: the rules of all services, in the format of oslopolicy-policy-generator."""

import json
from collections.abc import Iterator

from skywright.auth.policy import Policy
from skywright.cli.cloud.steps import StepFailed
from skywright.http import Service
from skywright.services import registry
from skywright.settings import Settings


def policy_file(settings: Settings, wanted: str | None) -> Iterator[str]:
    """Yield a policy file with the current rules of one service or all; raise StepFailed for an unknown service.

    Rules in the operator's files that no service has come last, as comments.
    """
    services = registry.services()
    known = {rule for service in services for rule in service.policies}
    if wanted not in (None, *(service.type for service in services)):
        raise StepFailed(f"There is no service {wanted}", f"Known: {', '.join(service.type for service in services)}.")
    unknown: dict[str, None] = {}
    for service in services:
        if wanted in (None, service.type):
            overrides = Policy(service.type, service.policies, settings.root).overrides()
            unknown |= dict.fromkeys(overrides.keys() - known)
            yield f"# Service {service.type}"
            yield from _rules(service, overrides)
    yield from (f"# No operation of this cloud has the rule {json.dumps(rule)}." for rule in sorted(unknown))


def _rules(service: Service, overrides: dict[str, str]) -> Iterator[str]:
    operations: dict[str, list[str]] = {}
    for operation, rules in service.operations():
        for rule in rules or ():
            operations.setdefault(rule, []).append(operation)
    for rule, default in service.policies.items():
        check = overrides.get(rule, default)
        yield ""
        yield from (f"# {operation}" for operation in operations.get(rule, ["Other rules refer to it."]))
        if check != default:
            yield f"# Default: {default or '(everyone)'}"
        yield f"{json.dumps(rule)}: {json.dumps(check)}"
    yield ""
