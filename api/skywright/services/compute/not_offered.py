"""Parts of Nova's API that this cloud does not offer yet: lists are empty, ids are not found, creation is refused.

Clients read these lists for other commands: `openstack hypervisor show` lists aggregates, `openstack server show` lists
volume attachments.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.microversions import since, version_of
from skywright.http.policy import Rules, on_target
from skywright.services.compute.listing import moment_parameter, natural_parameter, parameters
from skywright.services.compute.server_states import find_server

router = Router()


class Empty(NamedTuple):
    """A list that is always empty.

    *query* has the parameters and their first microversions; from microversion *closed* on, others are refused. They
    are validated, although no filter can find anything.
    """

    path: str
    policy: str
    body: dict[str, Any]
    since: int = 1
    query: Mapping[str, int] = {}
    closed: int = 75


class Refused(NamedTuple):
    """An operation that is refused with a reason."""

    method: str
    path: str
    policy: str
    message: str


class Missing(NamedTuple):
    """Operations on one resource of a kind; no id exists."""

    methods: dict[str, str]  # {method: policy rule}
    path: str
    message: str


SERVER = "/v2.1/servers/{server_id}"
AGGREGATES, GROUPS, MIGRATIONS = "/v2.1/os-aggregates", "/v2.1/os-server-groups", f"{SERVER}/migrations"
ATTACHMENTS, INTERFACES = f"{SERVER}/os-volume_attachments", f"{SERVER}/os-interface"
NO_VOLUMES = "This cloud has no volumes yet."
OFFSETS = {"limit": 1, "offset": 1}
OF_MIGRATIONS = dict.fromkeys(("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"), 1) | {
    "limit": 59,
    "marker": 59,
    "changes-since": 59,
    "changes-before": 66,
    "user_id": 80,
    "project_id": 80,
}
LISTS = (
    Empty(AGGREGATES, "os_compute_api:os-aggregates:index", {"aggregates": []}),
    Empty(
        GROUPS,
        "os_compute_api:os-server-groups:index",
        {"server_groups": []},
        query=OFFSETS | {"all_projects": 1},
    ),
    Empty(
        "/v2.1/os-migrations",
        "os_compute_api:os-migrations:index",
        {"migrations": []},
        query=OF_MIGRATIONS,
        closed=59,
    ),
    Empty(MIGRATIONS, "os_compute_api:servers:migrations:index", {"migrations": []}, since=23),
    Empty(ATTACHMENTS, "os_compute_api:os-volumes-attachments:index", {"volumeAttachments": []}, query=OFFSETS),
    Empty(f"{SERVER}/os-security-groups", "os_compute_api:os-security-groups:list", {"security_groups": []}),
    Empty(f"{SERVER}/topology", "compute:server:topology:index", {"nodes": [], "pagesize_kb": None}, since=78),
)
REFUSALS = (
    Refused("POST", AGGREGATES, "os_compute_api:os-aggregates:create", "This cloud has no host aggregates yet."),
    Refused("POST", GROUPS, "os_compute_api:os-server-groups:create", "This cloud has no server groups yet."),
    Refused("POST", ATTACHMENTS, "os_compute_api:os-volumes-attachments:create", NO_VOLUMES),
    Refused(
        "POST",
        INTERFACES,
        "os_compute_api:os-attach-interfaces:create",
        "This cloud cannot attach interfaces to servers yet: name all networks when you create the server.",
    ),
    Refused(
        "DELETE",
        f"{INTERFACES}/{{identifier}}",
        "os_compute_api:os-attach-interfaces:delete",
        "This cloud cannot detach interfaces from servers yet.",
    ),
    Refused(
        "GET",
        f"{SERVER}/diagnostics",
        "os_compute_api:os-server-diagnostics",
        "This cloud has no diagnostics of servers yet.",
    ),
)
ITEMS = (
    Missing(
        {
            "GET": "os_compute_api:os-aggregates:show",
            "PUT": "os_compute_api:os-aggregates:update",
            "DELETE": "os_compute_api:os-aggregates:delete",
        },
        f"{AGGREGATES}/{{identifier}}",
        "Aggregate {identifier} could not be found.",
    ),
    Missing(
        {"POST": "os_compute_api:os-aggregates:add_host"},
        f"{AGGREGATES}/{{identifier}}/action",
        "Aggregate {identifier} could not be found.",
    ),
    Missing(
        {"GET": "os_compute_api:os-server-groups:show", "DELETE": "os_compute_api:os-server-groups:delete"},
        f"{GROUPS}/{{identifier}}",
        "Instance group {identifier} could not be found.",
    ),
    Missing(
        {
            "GET": "os_compute_api:os-volumes-attachments:show",
            "PUT": "os_compute_api:os-volumes-attachments:update",
            "DELETE": "os_compute_api:os-volumes-attachments:delete",
        },
        f"{ATTACHMENTS}/{{identifier}}",
        "Instance {server_id} is not attached to volume {identifier}",
    ),
    Missing(
        {"GET": "os_compute_api:servers:migrations:show", "DELETE": "os_compute_api:servers:migrations:delete"},
        f"{MIGRATIONS}/{{identifier}}",
        "Migration {identifier} not found for instance {server_id}",
    ),
)


def _find_parent(context: Context) -> None:
    """Raise NotFound unless the server in the path belongs to the caller."""
    if server_id := context.request.path_params.get("server_id"):
        find_server(context, server_id)


def _list(empty: Empty) -> Callable[[Context], dict[str, Any]]:
    def show(context: Context) -> dict[str, Any]:
        since(context, empty.since)
        _find_parent(context)
        if empty.query:
            _check_query(context, empty)
        return empty.body

    return show


def _check_query(context: Context, empty: Empty) -> None:
    """Raise BadRequest for parameters that are unknown or invalid, and for a marker, which cannot exist."""
    known = frozenset(name for name, first in empty.query.items() if version_of(context) >= first)
    wanted = parameters(context, known, closed=empty.closed)
    for name in known & wanted.keys():
        if name in OFFSETS:
            natural_parameter(wanted[name], name)
        elif name.startswith("changes-"):
            moment_parameter(wanted[name], name)
        elif name == "marker":
            raise BadRequest(f"marker [{wanted[name]}] not found")


def _refuse(refused: Refused) -> Callable[[Context], None]:
    def refuse(context: Context) -> None:
        _find_parent(context)
        raise BadRequest(refused.message)

    return refuse


def _miss(missing: Missing) -> Callable[[Context], None]:
    def miss(context: Context) -> None:
        _find_parent(context)
        raise NotFound(missing.message.format(**context.request.path_params))

    return miss


def _rules(path: str, rule: str) -> Rules:
    """Return the rules of a route; those of a server's routes are enforced on the server."""
    return on_target(rule) if path.startswith(SERVER) else rule


for _empty in LISTS:
    router.operation("GET", _empty.path, policy=_rules(_empty.path, _empty.policy))(_list(_empty))
for _refused in REFUSALS:
    _policy = _rules(_refused.path, _refused.policy)
    router.operation(_refused.method, _refused.path, policy=_policy, write=False)(_refuse(_refused))
for _missing in ITEMS:
    for _method, _rule in _missing.methods.items():
        _policy = _rules(_missing.path, _rule)
        router.operation(_method, _missing.path, policy=_policy, write=False)(_miss(_missing))
