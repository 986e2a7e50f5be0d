"""Variables for Ansible as YAML in which no string can be a template: what a user typed is data, for ever.

Every string, keys too, carries the tag `!unsafe`. Neither JSON's `{"__ansible_unsafe": ...}` nor extra variables given
as a dictionary hold: a key of a user's own can break out of both.
"""

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Plain(str):
    """A string of our own, written as it is: a variable's name, a keyword of the inventory."""


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True  # a value that appears twice is written twice: Ansible tags each by its own place


def _unsafe(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("!unsafe", text, style='"')


def _plain(dumper: Any, text: Plain) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text))


_Dumper.add_representer(str, _unsafe)
_Dumper.add_representer(Plain, _plain)


def dump(data: dict[Plain, Any]) -> str:
    """*data* as YAML, its strings unsafe but for those that are `Plain`."""
    text: str = yaml.dump(data, Dumper=_Dumper, explicit_start=True, width=1 << 20, sort_keys=False)
    return text
