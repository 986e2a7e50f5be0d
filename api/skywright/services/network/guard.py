"""The policy rules of attributes: who may set and who may see them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skywright.http import Context
from skywright.http.bodies import Strict
from skywright.http.policy import OnTarget, on_target

# Attributes of targets in policy rules that requests can set.
CHANGEABLE = ("shared", "device_owner", "router:external", "target_tenant")


@dataclass(frozen=True)
class Guard:
    """The rules of one type of resource, such as `create_port:mac_address` for ports.

    `settable`: attributes with rules for setting them, and the values that mean "not set" in a new resource; `parts`:
    parts of them with their own rules; `hidden`: attributes with rules for seeing them.
    """

    name: str
    settable: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hidden: Sequence[str] = ()

    @property
    def seeing(self) -> Sequence[str]:
        """The rules of the attributes that not all users see."""
        return [f"get_{self.name}:{attribute}" for attribute in self.hidden]

    def rules(self, action: str, schema: type[Strict]) -> OnTarget:
        """Return the rules of a route that creates or updates: its own, those of attributes in *schema*, and those of
        the response.
        """
        known = {each.alias or name for name, each in schema.model_fields.items()}
        also: list[str] = []
        for attribute in self.settable:
            if attribute in known:
                rule = f"{action}_{self.name}:{attribute}"
                also += [rule, *(f"{rule}:{part}" for part in self.parts.get(attribute, ()))]
        return on_target(f"{action}_{self.name}", also=[*also, *self.seeing])

    def authorize(self, context: Context, target: Mapping[str, Any], item: Strict | None) -> None:
        """Enforce the rules of the route and of the attributes that *item* sets, on *target* with the new values."""
        rule, given = context.rules[0], _given(item)
        changed = {name: value for name, value in given.items() if name in CHANGEABLE}
        context.enforce(rule, {**target, **changed}, also=list(self._also(rule, given)))

    def _also(self, rule: str, given: Mapping[str, Any]) -> Iterator[str]:
        update = rule.startswith("update")
        for attribute, value in given.items():
            if attribute not in self.settable or (not update and value == self.settable[attribute]):
                continue
            yield f"{rule}:{attribute}"
            for part in self.parts.get(attribute, ()):
                entries = [value] if isinstance(value, Strict) else value or ()
                if any(part in entry.model_fields_set for entry in entries):
                    yield f"{rule}:{attribute}:{part}"

    def seen(self, context: Context, target: Mapping[str, Any], view: dict[str, Any]) -> dict[str, Any]:
        """Return *view* without the attributes that the policy hides from the caller."""
        rules = zip(self.hidden, self.seeing, strict=True)
        unseen = {attribute for attribute, rule in rules if not context.allows(rule, target)}
        return {name: value for name, value in view.items() if name not in unseen} if unseen else view


def _given(item: Strict | None) -> dict[str, Any]:
    """Return the attributes that *item* sets, by the API's names."""
    if item is None:
        return {}
    fields = type(item).model_fields
    return {each.alias or name: getattr(item, name) for name, each in fields.items() if name in item.model_fields_set}
