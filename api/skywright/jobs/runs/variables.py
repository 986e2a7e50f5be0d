"""Variables for Ansible, as YAML in which no string is a template: data of users stay data.

The document as a whole has the tag `!unsafe`, which applies to all its strings and keys. If each string had the tag,
Ansible would guess the types of the strings again, and a server with the name "yes" would become true. JSON's
`{"__ansible_unsafe": ...}` and extra variables as a dictionary are not safe either: a user's key can break out of both.
"""

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# A mark that Ansible uses in what it sends to modules. With such a key, it refuses the arguments of all items.
RESERVED = "__ansible_"


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True  # no aliases for values that appear twice


def _quoted(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def dump(data: dict[str, Any]) -> str:
    """Return *data* as YAML that is untrusted at all levels."""
    text: str = yaml.dump(data, Dumper=_Dumper, width=1 << 20, sort_keys=False)
    return f"--- !unsafe\n{text}"


def reserved_key(data: Any) -> str | None:
    """Return a key in *data* that is reserved for Ansible, or None."""
    if isinstance(data, dict):
        own = next((key for key in data if isinstance(key, str) and key.startswith(RESERVED)), None)
        return own or reserved_key(list(data.values()))
    if isinstance(data, list):
        return next((key for value in data if (key := reserved_key(value))), None)
    return None
