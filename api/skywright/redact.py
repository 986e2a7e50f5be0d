"""Redaction of requests and of hosts' variables before they are shown or stored.

Secrets are recognized by their names. Texts of a request are kept only if their field is known to hold no secret;
numbers and booleans are kept unless their name looks like a secret's.
"""

import re
from typing import Any

HIDDEN = "***"
TEXT_LIMIT = 255
DEPTH_LIMIT = 12

_SECRET = re.compile(r"pass|secret|token|private|blob|user_?data|personality|signature|chap_|(^|_)key$", re.IGNORECASE)
# Dictionaries that users fill freely: their keys are kept, their values are not.
_FREE = re.compile(r"^(metadata|meta|properties|extra|extra_specs|variables|options|os:scheduler_hints)$")
_KEPT = re.compile(
    r"^(id|uuid|name|description|hostname|host|hosts|type|state|status|action|method|methods|path|op|service|interface|"
    r"visibility|size|role|roles|scope|region|domain|project|groups|start|end|destination|nexthop|direction|protocol|"
    r"network|networks|port|volume|rename|flavor|tag|tags|address|addresses|mac|cidr|ip_version|reason|"
    r"\w*(_id|_ids|_ip|_ips|_name|_format|_type|_zone|_address|_mode|_reason|_at|_owner|_ref|Ref|Id|Zone))$"
)


def is_secret(name: str) -> bool:
    """Return whether a field called *name* holds a secret. The path of a file with a secret is not one."""
    return _SECRET.search(name) is not None and not name.endswith(("_file", "_path"))


def selected(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return *value*, the field *name* of a request, with possible secrets replaced."""
    if isinstance(value, dict):
        # `password` in a request for a token also holds the user's name; the id of a `token` is the token itself.
        hidden = (is_secret(name) and name != "password") or _FREE.match(name) or depth > DEPTH_LIMIT
        return {
            str(key)[:TEXT_LIMIT]: HIDDEN if hidden else selected(item, str(key), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return HIDDEN if depth > DEPTH_LIMIT else [selected(item, name, depth + 1) for item in value]
    if value is None or (isinstance(value, bool | int | float) and not is_secret(name)):
        return value
    if is_secret(name) or not _KEPT.match(name):
        return HIDDEN
    return str(value)[:TEXT_LIMIT]


def without_secrets(data: Any) -> Any:
    """Return *data* with the texts replaced whose key is the name of a secret."""
    if isinstance(data, dict):
        return {
            key: HIDDEN if isinstance(value, str) and value and is_secret(key) else without_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [without_secrets(value) for value in data]
    return data
