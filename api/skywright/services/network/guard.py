"""The policy rules of attributes: who may set them, and who sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skywright.http import Context
from skywright.http.bodies import Strict
from skywright.http.policy import OnTarget, on_target

# The attributes that policy rules ask of their targets and that requests set.
CHANGEABLE = ("shared", "device_owner", "router:external")


@dataclass(frozen=True)
class Guard:
    """The rules of one kind of resource, as `create_port:mac_address` is one of ports.

    `settable` are the attributes that have rules for requests that set them, with the values that Neutron takes for not
    set in a new resource; `parts` those of their parts that have rules, too; `hidden` those with rules for seeing them.
    """

    name: str
    settable: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hidden: Sequence[str] = ()

    @property
    def seeing(self) -> Sequence[str]:
        """The rules of the attributes that not everyone sees."""
        return [f"get_{self.name}:{attribute}" for attribute in self.hidden]

    def rules(self, action: str, schema: type[Strict]) -> OnTarget:
        """The rules of a route that creates or updates: its own, of attributes in *schema*, and of the answer's."""
        known = {each.alias or name for name, each in schema.model_fields.items()}
        also: list[str] = []
        for attribute in self.settable:
            if attribute in known:
                rule = f"{action}_{self.name}:{attribute}"
                also += [rule, *(f"{rule}:{part}" for part in self.parts.get(attribute, ()))]
        return on_target(f"{action}_{self.name}", also=[*also, *self.seeing])

    def authorize(self, context: Context, target: Mapping[str, Any], item: Strict | None) -> None:
        """Enforce the route's rule, and those of the attributes that *item* sets, on *target* as it is to be."""
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
                if any(part in entry.model_fields_set for entry in value or ()):
                    yield f"{rule}:{attribute}:{part}"

    def seen(self, context: Context, target: Mapping[str, Any], view: dict[str, Any]) -> dict[str, Any]:
        """*view* without what the policy hides from the caller."""
        rules = zip(self.hidden, self.seeing, strict=True)
        unseen = {attribute for attribute, rule in rules if not context.allows(rule, target)}
        return {name: value for name, value in view.items() if name not in unseen} if unseen else view


def _given(item: Strict | None) -> dict[str, Any]:
    """The attributes that *item* sets, by the API's names."""
    if item is None:
        return {}
    fields = type(item).model_fields
    return {each.alias or name: getattr(item, name) for name, each in fields.items() if name in item.model_fields_set}
