"""The plan of an overcloud, and its validation, which reports all errors at once.

A plan has no secrets: the undercloud generates the passwords and keeps them in its files.
"""

import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from skywright.jobs.runs.variables import reserved_key
from skywright.redact import is_secret
from skywright.validation import Mistake, mistakes_in

ROLES = ("controllers", "computes", "networks")
DEPTH_LIMIT = 12
TOLD = 50
# Variables that a plan must not set: prefixes and names.
_OTHERS = ("ansible_", "skywright_items", "_")
_OWN = frozenset(f"overcloud_{name}" for name in ("name", "virtual_address", "interface", "files", "secrets"))
_TAKEN = frozenset({*ROLES, "all", "ungrouped", "localhost", "overcloud", "storages", "lab"})


def _is_free(name: str) -> str:
    if name in _TAKEN:
        raise ValueError("this name is reserved in an inventory")
    return name


def _parses(kind: type) -> Any:
    """Return a validator: the text is a *kind* in its normal notation."""

    def check(text: str) -> str:
        try:
            if str(kind(text)) != text:
                raise ValueError
        except ValueError:
            raise ValueError(f"it must be like {_EXAMPLES[kind]}") from None
        return text

    return AfterValidator(check)


_EXAMPLES: dict[type, str] = {
    IPv4Address: "10.0.0.11",
    IPv4Interface: "10.0.0.9/24",
    IPv4Network: "10.0.0.0/24",
}
Address = Annotated[str, _parses(IPv4Address)]
InterfaceAddress = Annotated[str, _parses(IPv4Interface)]
Network = Annotated[str, _parses(IPv4Network)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"), AfterValidator(_is_free)]
User = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
Key = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_./@+-]{1,250}$")]
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Variables = Annotated[dict[VariableName, JsonValue], Field(max_length=256)]
Members = Annotated[list[HostName], Field(max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Roles(_Strict):
    """The hosts of each role; a host may have several roles."""

    controllers: Members = Field(min_length=1)
    computes: Members = []
    networks: Members = []


class Networks(_Strict):
    """The networks of the hosts' addresses; `data` carries the tunnels of the cloud's networks."""

    management: Network
    data: Network | None = None


class Connection(_Strict):
    """The connection and the data NIC of a host; the plan has the defaults."""

    user: User | None = None
    key: Key | None = None
    data_interface: Interface | None = None
    variables: Variables = {}


class PlannedHost(Connection):
    """A host."""

    address: Address
    port: int = Field(22, ge=1, le=65535)
    data_address: InterfaceAddress | None = None


class Plan(Connection):
    """An overcloud."""

    name: Name
    virtual_address: InterfaceAddress
    interface: Interface
    roles: Roles
    networks: Networks
    hosts: dict[HostName, PlannedHost] = Field(min_length=1, max_length=500)

    def groups(self, host: str) -> list[str]:
        """Return the roles of *host*."""
        return [role for role in ROLES if host in getattr(self.roles, role)]

    def variables_of(self, name: str) -> dict[str, Any]:
        """Return the role variables of a host in the plan."""
        host = self.hosts[name]
        switch = {
            "vswitch_data_interface": host.data_interface or self.data_interface,
            "vswitch_data_address": host.data_address,
        }
        return {**{key: value for key, value in switch.items() if value}, **self.variables, **host.variables}


class BadPlan(ValueError):
    """All errors in a plan."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read(document: Any) -> Plan:
    """Validate *document* as a plan. Raises BadPlan with all errors, without the given values."""
    try:
        plan = Plan.model_validate(document)
    except ValidationError as error:
        raise BadPlan([_described(mistake) for mistake in mistakes_in(error, document, at_most=TOLD)]) from None
    problems = list(_problems(plan))
    if problems:
        raise BadPlan(problems[:TOLD])
    return plan


def _described(mistake: Mistake) -> str:
    where = re.sub(r"[^\x20-\x7e]", "?", ".".join(map(str, mistake.path)))[:200] or "the plan"
    return f"{where}: {mistake.message(value='it')}"


def _problems(plan: Plan) -> Iterator[str]:
    yield from _role_problems(plan)
    yield from _address_problems(plan)
    yield from _data_problems(plan)
    for where, variables in [("variables", plan.variables), *((f"hosts.{n}", h.variables) for n, h in _hosts(plan))]:
        yield from _variable_problems(where, variables)


def _hosts(plan: Plan) -> list[tuple[str, PlannedHost]]:
    return sorted(plan.hosts.items())


def _role_problems(plan: Plan) -> Iterator[str]:
    for role in ROLES:
        members = getattr(plan.roles, role)
        for name in sorted(set(members) - plan.hosts.keys()):
            yield f"roles.{role}: {name} is not one of the hosts"
        for name, times in Counter(members).items():
            if times > 1:
                yield f"roles.{role}: {name} is listed {times} times"
    for name, host in _hosts(plan):
        if not plan.groups(name):
            yield f"hosts.{name}: it has no role"
        if not (host.key or plan.key):
            yield f"hosts.{name}.key: the file of the SSH key is required, here or for all hosts"
    if len(plan.roles.controllers) % 2 == 0:
        yield "roles.controllers: an even number of controllers tolerates no more failures than one less: use 1, 3 or 5"
    if plan.roles.computes and not plan.roles.networks:
        yield "roles.networks: at least one is required, for DHCP"


def _address_problems(plan: Plan) -> Iterator[str]:
    management, virtual = IPv4Network(plan.networks.management), IPv4Interface(plan.virtual_address)
    if virtual.network != management:
        yield f"virtual_address: it is not in networks.management, {management}"
    users = [
        ("virtual_address", virtual.ip),
        *((f"hosts.{n}.address", IPv4Address(h.address)) for n, h in _hosts(plan)),
    ]
    yield from _misplaced(users, management, "networks.management")


def _data_problems(plan: Plan) -> Iterator[str]:
    data = IPv4Network(plan.networks.data) if plan.networks.data else None
    if data is not None and data.overlaps(IPv4Network(plan.networks.management)):
        yield "networks.data: it overlaps networks.management"
    users = []
    for name, host in _hosts(plan):
        serves = {"computes", "networks"} & set(plan.groups(name))
        if serves and not (host.data_interface or plan.data_interface):
            yield f"hosts.{name}.data_interface: it is required for computes and networks"
        if serves and host.data_address is None:
            yield f"hosts.{name}.data_address: it is required for computes and networks"
        if host.data_address is not None:
            users.append((f"hosts.{name}.data_address", IPv4Interface(host.data_address)))
    if users and data is None:
        yield "networks.data: it is required if hosts have a data_address"
    elif data is not None:
        yield from (f"{where}: its prefix differs from networks.data" for where, at in users if at.network != data)
        yield from _misplaced([(where, at.ip) for where, at in users], data, "networks.data")


def _misplaced(users: list[tuple[str, IPv4Address]], network: IPv4Network, called: str) -> Iterator[str]:
    first: dict[IPv4Address, str] = {}
    for where, address in users:
        if address not in network:
            yield f"{where}: {address} is not in {called}, {network}"
        elif network.prefixlen < 31 and address in (network.network_address, network.broadcast_address):
            yield f"{where}: {address} is not a host address in {network}"
        if first.setdefault(address, where) != where:
            yield f"{where}: {address} is also the address of {first[address]}"


def _variable_problems(where: str, variables: dict[str, Any]) -> Iterator[str]:
    for name, value in variables.items():
        if name.startswith(_OTHERS) or name in _OWN:
            yield f"{where}: {name} must not be set in a plan"
        if _has_secret({name: value}):
            yield f"{where}: {name} has the name of a secret, and plans must have none"
        if _depth(value) > DEPTH_LIMIT:
            yield f"{where}: {name} is nested too deeply"
        elif key := reserved_key({name: value}):
            yield f"{where}: {name}: the name {key!r} is reserved"


def _depth(value: Any, at: int = 0) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return at if at > DEPTH_LIMIT else max((_depth(item, at + 1) for item in inner), default=at)


def _has_secret(value: Any, at: int = 0) -> bool:
    if at > DEPTH_LIMIT:
        return False
    if isinstance(value, dict):
        return any(is_secret(str(name)) or _has_secret(item, at + 1) for name, item in value.items())
    return isinstance(value, list) and any(_has_secret(item, at + 1) for item in value)
