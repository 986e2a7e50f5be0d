"""Ports."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Case, and_, case, false, or_, select

from skywright.db.jobs import Host
from skywright.http import BadRequest, Conflict, Context, Forbidden, Router
from skywright.http.paging import Clause
from skywright.services.compute.internal import detach_port, has_server, replug
from skywright.services.network import address_pairs, dhcp_options, dns, ipam, listing, port_uses, qos, qos_use, schemas
from skywright.services.network.guard import Guard
from skywright.services.network.networks import refresh_dhcp, visible_network
from skywright.services.network.router_ports import ON_HOSTS, entry_of, refresh
from skywright.services.network.sharing import with_policies
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import Address, Network, NetworkTag, Port
from skywright.services.network.targets import on_network, owned

router = Router()
SIMPLE = ("name", "description", "admin_state_up", "device_id", "device_owner", "vnic_type", "dns_name", "dns_domain")
DOWN = "DOWN"
SERVICE = "network:"  # the beginning of the owners of ports that the network service makes itself
BOUND, UNBOUND, FAILED = "ovs", "unbound", "binding_failed"  # binding:vif_type


def _by_fixed_ips(context: Context, values: Sequence[str]) -> Clause:
    """Match `fixed_ips=ip_address=10.0.0.5`, `subnet_id=`, `ip_address_substr=`; values of the same name are
    alternatives.
    """
    wanted: dict[str, list[Clause]] = {}
    for value in values:
        name, _, operand = value.partition("=")
        if name == "ip_address":
            clause = Address.ip_address == operand
        elif name == "subnet_id":
            clause = Address.subnet_id == operand
        elif name == "ip_address_substr":
            clause = Address.ip_address.contains(operand, autoescape=True)
        else:
            raise BadRequest(f"Invalid input for operation: '{name}' is no part of fixed_ips.", kind="InvalidInput")
        wanted.setdefault(name, []).append(clause)
    clauses = [Port.id.in_(select(Address.port_id).where(or_(*found))) for found in wanted.values()]
    return and_(*clauses)


def _by_mac_address(context: Context, values: Sequence[str]) -> Clause:
    """Match a MAC address in any notation; other values match no port."""
    wanted = []
    for value in values:
        with suppress(ValueError):
            wanted.append(ipam.mac_address(value))
    return or_(Port.mac_address.in_(wanted))


def _by_vif_type(context: Context, values: Sequence[str]) -> Clause:
    known = Port.host.in_(select(Host.name))
    clauses = {BOUND: known, UNBOUND: Port.host == "", FAILED: and_(Port.host != "", ~known)}
    return or_(false(), *(clauses[value] for value in values if value in clauses))


def shown_status() -> Case[str]:
    """The column of the status that `_view` shows: a port that lets no frames pass is DOWN."""
    return case((and_(Port.admin_state_up, Port.network.has(Network.admin_state_up)), Port.status), else_=DOWN)


class Ports(StandardResource[Port]):
    name, collection, label, model = "port", "ports", "Port", Port
    create_schema, update_schema = schemas.PortCreate, schemas.PortUpdate
    filters = listing.Listing(
        Port,
        "Port",
        tags=NetworkTag,
        columns={
            **standard_columns(Port),
            "network_id": Port.network_id,
            "mac_address": Port.mac_address,
            "admin_state_up": Port.admin_state_up,
            "status": shown_status(),
            "device_id": Port.device_id,
            "device_owner": Port.device_owner,
            "binding:host_id": Port.host,
            "binding:vnic_type": Port.vnic_type,
        },
        specials={
            "mac_address": _by_mac_address,
            "binding:vif_type": _by_vif_type,
            "fixed_ips": _by_fixed_ips,
            # Ports have no security groups yet, so that none matches.
            "security_groups": lambda context, values: or_(false()),
        },
    )

    guard = Guard(
        "port",
        {
            "mac_address": None,
            "fixed_ips": None,
            "device_id": "",
            "device_owner": "",
            "binding:host_id": "",
            "binding:profile": None,
            "binding:vnic_type": "normal",
            "port_security_enabled": None,
            "allowed_address_pairs": None,
        },
        {"fixed_ips": ("ip_address", "subnet_id"), "allowed_address_pairs": ("mac_address", "ip_address")},
        hidden=("binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details"),
    )

    def query(self, context: Context) -> Any:
        return super().query(context).options(with_policies(Port.network))

    def visible(self, context: Context) -> Clause:
        mine = context.caller.project_id
        return or_(Port.project_id == mine, Port.network_id.in_(select(Network.id).where(Network.project_id == mine)))

    def views(self, context: Context, rows: Sequence[Port]) -> list[dict[str, Any]]:
        query = select(Network.id).where(Network.id.in_({row.network_id for row in rows}), ~Network.admin_state_up)
        down = set(context.db.scalars(query))
        hosts = set(context.db.scalars(select(Host.name).where(Host.name.in_({row.host for row in rows}))))
        return [_view(row, up=row.admin_state_up and row.network_id not in down, hosts=hosts) for row in rows]

    def target(self, context: Context, row: Port) -> dict[str, Any]:
        return (
            owned(row.project_id)
            | on_network(row.network, context.caller.project_id)
            | {"device_owner": row.device_owner}
        )

    def create(self, context: Context, item: schemas.PortCreate, project_id: str) -> Port:
        network = visible_network(context, item.network_id)
        target = owned(project_id) | on_network(network, context.caller.project_id) | {"device_owner": ""}
        self.guard.authorize(context, target, item)
        _check_device(context, item)
        ipam.check_quota(context.db, project_id, "port")
        port = ipam.create_port(
            context.db,
            network,
            project_id,
            fixed_ips=_fixed_ips(item),
            mac_address=item.mac_address,
            host=item.host or "",
            binding_profile=item.binding_profile or {},
            **item.given(*SIMPLE),
        )
        _secure(port, item)
        _set_dhcp_options(port, item)
        dns.check_length(port.dns_name, dns.domain_of(network, port))
        _set_qos_policy(context, port, item)
        return port

    def update(self, context: Context, row: Port, item: schemas.PortUpdate) -> None:
        used = {"device_id", "device_owner", "host"} & item.model_fields_set
        if used and any(getattr(row, name) != getattr(item, name) for name in used):
            _check_unused(context, row)
            _check_device(context, item)
        before = _on_host(row)
        for name, value in item.given(*SIMPLE).items():
            setattr(row, name, value)
        if "host" in item.model_fields_set:
            row.host = item.host or ""
        if "binding_profile" in item.model_fields_set:
            row.binding_profile = item.binding_profile or {}
        if item.mac_address is not None and item.mac_address != row.mac_address:
            _check_unbound(row)
            row.mac_address = ipam.claim_mac(context.db, row.network_id, item.mac_address)
        fixed_ips = _fixed_ips(item)
        if fixed_ips is not None:
            port_uses.check_addresses(context.db, row, fixed_ips)
            ipam.set_addresses(context.db, row, row.network, fixed_ips)
        _secure(row, item)
        _set_dhcp_options(row, item)
        dns.check_length(row.dns_name, dns.domain_of(row.network, row))
        _set_qos_policy(context, row, item)
        if _on_host(row) != before:
            _apply(context, row)

    def delete(self, context: Context, row: Port) -> None:
        if row.device_owner == ipam.DHCP_OWNER:
            _check_unused(context, row)
        port_uses.check_deletion(context, row)
        detach_port(context, row.device_id, entry_of(row))
        refresh(context, ipam.delete_port(context.db, row))


def _view(row: Port, *, up: bool, hosts: set[str]) -> dict[str, Any]:
    """Return the attributes of *row*. *hosts* are the names of existing hosts: binding to others fails."""
    bound = row.host in hosts
    return {
        "network_id": row.network_id,
        "mac_address": row.mac_address,
        "admin_state_up": row.admin_state_up,
        "status": row.status if up else DOWN,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "fixed_ips": [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in row.addresses],
        "port_security_enabled": row.port_security_enabled,
        "security_groups": [],  # there are none yet
        "allowed_address_pairs": row.allowed_address_pairs,
        "extra_dhcp_opts": row.extra_dhcp_opts,
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "dns_assignment": dns.assignment(row, row.network),
        "qos_policy_id": row.qos_policy_id,
        "qos_network_policy_id": row.network.qos_policy_id,
        "binding:vnic_type": row.vnic_type,
        "binding:host_id": row.host,
        "binding:profile": row.binding_profile,
        "binding:vif_type": BOUND if bound else FAILED if row.host else UNBOUND,
        "binding:vif_details": _vif_details(row) if bound else {},
    }


def _vif_details(row: Port) -> dict[str, Any]:
    return {"port_filter": row.port_security_enabled, "bridge_name": "br-int"}


def _on_host(row: Port) -> tuple[object, ...]:
    """Return the attributes of *row* that its host knows and that can change there."""
    addresses = sorted(address.ip_address for address in row.addresses)
    switched = row.admin_state_up, row.port_security_enabled, row.allowed_address_pairs, row.qos_policy_id
    return *switched, row.extra_dhcp_opts, row.dns_name, row.dns_domain, addresses


def _apply(context: Context, row: Port) -> None:
    """Queue a job that brings the changed port to its host."""
    if has_server(context.db, row.device_id):
        replug(context, [row.device_id])
    elif row.device_owner in ON_HOSTS:
        refresh(context, [row.device_id])
    elif row.host:
        refresh_dhcp(context, row.network)


def _secure(row: Port, item: schemas.PortUpdate) -> None:
    """Set the port security and the allowed address pairs in *item*; raise Conflict if they do not fit together."""
    if "port_security_enabled" in item.model_fields_set:
        if item.port_security_enabled and row.device_owner.startswith(SERVICE):
            raise Conflict(f"Ports of {row.device_owner} have no port security.", kind="PortInUse")
        row.port_security_enabled = item.port_security_enabled
    if "allowed_address_pairs" in item.model_fields_set:
        pairs = [pair.given("mac_address", "ip_address") for pair in item.allowed_address_pairs]
        row.allowed_address_pairs = address_pairs.stored(pairs, row.mac_address)
    if row.allowed_address_pairs and not row.port_security_enabled:
        text = "Port Security must be enabled in order to have allowed address pairs on a port."
        raise Conflict(text, kind="AddressPairAndPortSecurityRequired")


def _set_dhcp_options(row: Port, item: schemas.PortUpdate) -> None:
    """Merge the DHCP options in *item*; raise BadRequest if the port cannot have them.

    Without an IPv4 address they have no effect, and Neutron accepts all values.
    """
    if item.extra_dhcp_opts and row.device_owner == ipam.DHCP_OWNER:
        raise BadRequest(f"Ports of {row.device_owner} get no DHCP options.")
    given = [option.model_dump() for option in item.extra_dhcp_opts]
    row.extra_dhcp_opts = dhcp_options.merged(row.extra_dhcp_opts, given)
    if any("." in address.ip_address for address in row.addresses):
        dhcp_options.check(row.extra_dhcp_opts)


def _set_qos_policy(context: Context, row: Port, item: schemas.PortUpdate) -> None:
    """Set the QoS policy in *item*; raise BadRequest if it would have no effect on the port."""
    if item.qos_policy_id is not None and row.device_owner.startswith(qos.OWN_PORTS):
        raise BadRequest(f"Ports of {row.device_owner} have no QoS policy.")
    qos_use.set_policy(context, row, item)


def _fixed_ips(item: schemas.PortUpdate) -> list[dict[str, Any]] | None:
    return None if item.fixed_ips is None else [entry.model_dump() for entry in item.fixed_ips]


def _check_device(context: Context, item: schemas.PortUpdate) -> None:
    """Refuse device owners of the compute service and of the network service, which create such ports themselves."""
    if item.device_owner.startswith(SERVICE):
        raise Forbidden(f"Ports of {item.device_owner} are made by the network service alone.")
    if item.device_id and has_server(context.db, item.device_id, deleted=True):
        raise Conflict("Ports are attached to servers by the compute service.", kind="PortInUse")


def _check_unused(context: Context, port: Port) -> None:
    """Refuse to change a port that a server or the network service is using."""
    if has_server(context.db, port.device_id) or port.device_owner.startswith(SERVICE):
        text = f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
        raise Conflict(f"{text}attached device {port.device_id}.", kind="PortInUse")


def _check_unbound(port: Port) -> None:
    if port.host or port.device_owner.startswith(SERVICE):
        text = f"Unable to complete operation on port {port.id}, port is already bound to host {port.host}."
        raise Conflict(text, kind="PortBound")


PORTS = Ports()
PORTS.register(router)
