"""What of a request, or of a host's variables, may be shown and kept: secrets are known by their names.

Of a request's texts only those are kept whose field is known to hold none; numbers and flags, unless their name warns.
"""

import re
from typing import Any

HIDDEN = "***"
TEXT_LIMIT = 255
DEPTH_LIMIT = 12

_SECRET = re.compile(r"pass|secret|token|private|blob|user_?data|personality|signature|chap_|(^|_)key$", re.IGNORECASE)
# What users fill as they like: the names in it are told, no values.
_FREE = re.compile(r"^(metadata|meta|properties|extra|extra_specs|variables|options|os:scheduler_hints)$")
_KEPT = re.compile(
    r"^(id|uuid|name|description|hostname|host|hosts|type|state|status|action|method|methods|path|op|service|interface|"
    r"visibility|size|role|roles|scope|region|domain|project|groups|start|end|destination|nexthop|direction|protocol|"
    r"network|networks|port|volume|rename|flavor|tag|tags|address|addresses|mac|cidr|ip_version|reason|"
    r"\w*(_id|_ids|_ip|_ips|_name|_format|_type|_zone|_address|_mode|_reason|_at|_owner|_ref|Ref|Id|Zone))$"
)


def is_secret(name: str) -> bool:
    """Whether something called *name* is a secret; where one lies is none."""
    return _SECRET.search(name) is not None and not name.endswith(("_file", "_path"))


def selected(value: Any, name: str = "", depth: int = 0) -> Any:
    """*value*, the field *name* of a request, without secrets and without what may be one."""
    if isinstance(value, dict):
        # A request for a token says who asks beside the password; a token's id is the token.
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
    """*data* with every text hidden that is called like a secret."""
    if isinstance(data, dict):
        return {
            key: HIDDEN if isinstance(value, str) and value and is_secret(key) else without_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [without_secrets(value) for value in data]
    return data
