"""Variables for Ansible as YAML in which no string can be a template: what a user typed is data, for ever.

The document as a whole carries the tag `!unsafe`, which holds for all strings in it, keys too. Tagging each string does
not do: Ansible then guesses the string's type anew, and a server called "yes" becomes true. Nor do JSON's
`{"__ansible_unsafe": ...}` or extra variables given as a dictionary: a key of a user's own can break out of both.
"""

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# Ansible's own mark in what it sends to modules: such a key makes it refuse the arguments of all items together.
RESERVED = "__ansible_"


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True  # a value that appears twice is written twice


def _quoted(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def dump(data: dict[str, Any]) -> str:
    """*data* as YAML, untrusted in all its depth."""
    text: str = yaml.dump(data, Dumper=_Dumper, width=1 << 20, sort_keys=False)
    return f"--- !unsafe\n{text}"


def reserved_key(data: Any) -> str | None:
    """A key somewhere in *data* that Ansible keeps for itself."""
    if isinstance(data, dict):
        own = next((key for key in data if isinstance(key, str) and key.startswith(RESERVED)), None)
        return own or reserved_key(list(data.values()))
    if isinstance(data, list):
        return next((key for value in data if (key := reserved_key(value))), None)
    return None
