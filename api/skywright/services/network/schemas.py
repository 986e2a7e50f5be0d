"""Request bodies: Neutron's attributes, validated and normalized."""

import uuid
from collections.abc import Container, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import netaddr
import orjson
from pydantic import AfterValidator, BaseModel, Field, model_validator

from skywright.errors import lacking
from skywright.http import BadRequest
from skywright.http.bodies import EmptyIfNull, Omittable, Strict, checked, misfit, only_empty, plain, storable
from skywright.services.network import dns
from skywright.services.network.dhcp_bodies import DhcpOption
from skywright.services.network.errors import explain
from skywright.services.network.ipam import mac_address

Model = TypeVar("Model", bound=BaseModel)
MAX_PAIRS = 10  # allowed address pairs of a port: the default of Neutron's max_allowed_address_pair
MULTICAST = {4: netaddr.IPNetwork("224.0.0.0/4"), 6: netaddr.IPNetwork("ff00::/8")}


def _short(value: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(storable(value))) > 4095:
        raise ValueError("It is too long.")
    return value


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise misfit("UUID") from error


def _address(value: str) -> str:
    try:
        return str(netaddr.IPAddress(value))
    except (netaddr.AddrFormatError, ValueError) as error:
        raise misfit("IP address") from error


def _cidr(value: str) -> str:
    try:
        if "/" not in value or value != "".join(value.split()):
            raise ValueError
        return str(netaddr.IPNetwork(value).cidr)
    except (netaddr.AddrFormatError, ValueError) as error:
        raise misfit("IP subnet") from error


def _mac(value: str) -> str:
    try:
        mac = mac_address(value)
    except ValueError:
        mac = ""
    # A network interface cannot have the address of a group, such as ff:ff:ff:ff:ff:ff (IEEE 802, section 8.2).
    if not mac or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        raise misfit("MAC address")
    return mac


def _source_mac(value: str) -> str:
    _mac(value)
    return value  # in the notation of the request, as in Neutron


def _source_range(value: str) -> str:
    """Return an address or CIDR that sources of frames may have: no multicast, but 0.0.0.0/0, as in Neutron."""
    if "/" not in value:
        if netaddr.IPAddress(_address(value)).is_multicast():
            raise ValueError(f"IP {value} is a multicast address, which is not supported.")
        return value
    _cidr(value)
    network = netaddr.IPNetwork(value)
    if network.version == 4 and str(network) != value:
        raise misfit("IP subnet")
    multicast = MULTICAST[network.version]
    if str(network) != "0.0.0.0/0" and (network in multicast or multicast in network):
        raise ValueError(f"Subnet {network} overlaps with multicast range {multicast}, which is not supported.")
    return value


Text = Annotated[str, Field(max_length=255), AfterValidator(plain)]
Id = Annotated[str, Field(max_length=64), AfterValidator(plain)]
Uuid = Annotated[str, Field(max_length=64), AfterValidator(_uuid)]
IpAddress = Annotated[str, Field(max_length=64), AfterValidator(_address)]
Cidr = Annotated[str, Field(max_length=64), AfterValidator(_cidr)]
Mac = Annotated[str, Field(max_length=32), AfterValidator(_mac)]
DnsName = Annotated[str, AfterValidator(plain), AfterValidator(dns.checked_name)]
DnsDomain = Annotated[str, AfterValidator(plain), AfterValidator(dns.checked_domain)]
Tag = Annotated[str, Field(min_length=1, max_length=255, pattern="^[^,]*$"), AfterValidator(plain)]


NO_ADVERTISEMENTS = only_empty(lacking("router advertisements"))
NO_GROUPS = only_empty(lacking("security groups"))
RouterMode = Annotated[Omittable[Literal["dhcpv6-stateful", "dhcpv6-stateless", "slaac"]], NO_ADVERTISEMENTS]


class Owned(Strict):
    """Attributes of resources that can be created for another project; `tenant_id` is the old name."""

    project_id: Omittable[Id] = None
    tenant_id: Omittable[Id] = None

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        if self.project_id and self.tenant_id and self.project_id != self.tenant_id:
            raise ValueError("'project_id' and 'tenant_id' do not match")
        self.project_id = self.project_id or self.tenant_id
        return self


class NetworkUpdate(Strict):
    name: Text = ""
    description: Text = ""
    admin_state_up: bool = True
    shared: bool = False
    mtu: Omittable[Annotated[int, Field(ge=0, le=2**31)]] = None
    external: bool = Field(False, alias="router:external")
    is_default: bool = False
    port_security_enabled: bool = True
    dns_domain: DnsDomain = ""
    qos_policy_id: Uuid | None = None


class NetworkCreate(NetworkUpdate, Owned):
    type: Omittable[Literal["vxlan", "gre", "vlan", "flat", "local"]] = Field(None, alias="provider:network_type")
    physical_network: Omittable[Annotated[Id, Field(min_length=1)]] = Field(None, alias="provider:physical_network")
    segmentation_id: Omittable[Annotated[int, Field(ge=1, lt=1 << 31)]] = Field(None, alias="provider:segmentation_id")


class Pool(Strict):
    start: IpAddress
    end: IpAddress


class Route(Strict):
    destination: Cidr
    nexthop: IpAddress


class SubnetUpdate(Strict):
    name: Text = ""
    description: Text = ""
    gateway_ip: IpAddress | None = None  # null: no gateway
    enable_dhcp: bool = True
    dns_nameservers: EmptyIfNull[Annotated[list[IpAddress], Field(max_length=5)]] = []
    host_routes: EmptyIfNull[Annotated[list[Route], Field(max_length=20)]] = []
    allocation_pools: EmptyIfNull[Annotated[list[Pool], Field(max_length=100)] | None] = None

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        if len(set(self.dns_nameservers)) < len(self.dns_nameservers):
            raise ValueError("Invalid input for dns_nameservers. Reason: Duplicate nameserver.")
        if len({(route.destination, route.nexthop) for route in self.host_routes}) < len(self.host_routes):
            raise ValueError("Invalid input for host_routes. Reason: Duplicate hostroute.")
        return self


class SubnetCreate(SubnetUpdate, Owned):
    network_id: Uuid
    ip_version: Omittable[Literal[4, 6]] = None
    cidr: Cidr | None = None
    subnetpool_id: Uuid | None = None
    use_default_subnetpool: bool = False
    prefixlen: Omittable[Annotated[int, Field(ge=1, le=128)]] = None
    ipv6_ra_mode: RouterMode = None
    ipv6_address_mode: RouterMode = None


class FixedIp(Strict):
    subnet_id: Omittable[Uuid] = None
    ip_address: Omittable[IpAddress] = None


class AddressPair(Strict):
    """An allowed address pair. Its values keep the notation of the request."""

    mac_address: Omittable[Annotated[str, Field(max_length=32), AfterValidator(_source_mac)]] = None
    ip_address: Omittable[Annotated[str, Field(max_length=64), AfterValidator(_source_range)]] = None

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if self.ip_address is None:
            raise BadRequest("AllowedAddressPair must contain ip_address", kind="AllowedAddressPairsMissingIP")
        return self


def _few(pairs: list[AddressPair]) -> list[AddressPair]:
    if len(pairs) > MAX_PAIRS:
        text = f"The number of allowed address pair exceeds the maximum {MAX_PAIRS}."
        raise BadRequest(text, kind="AllowedAddressPairExhausted")
    return pairs


class PortUpdate(Strict):
    name: Text = ""
    description: Text = ""
    admin_state_up: bool = True
    fixed_ips: Omittable[list[FixedIp]] = None
    mac_address: Omittable[Mac] = None
    device_id: Text = ""
    device_owner: Text = ""
    host: Text | None = Field("", alias="binding:host_id")
    binding_profile: Annotated[dict[str, Any], AfterValidator(_short)] | None = Field(None, alias="binding:profile")
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    port_security_enabled: bool = True  # the default of new ports is their network's value
    security_groups: EmptyIfNull[Annotated[list[Any], NO_GROUPS]] = []
    allowed_address_pairs: EmptyIfNull[Annotated[list[AddressPair], AfterValidator(_few)]] = []
    extra_dhcp_opts: EmptyIfNull[list[DhcpOption]] = []
    dns_name: DnsName = ""
    dns_domain: DnsDomain = ""
    qos_policy_id: Uuid | None = None


class PortCreate(PortUpdate, Owned):
    network_id: Uuid


Prefixes = Annotated[list[Cidr], Field(min_length=1, max_length=100)]
Length = Annotated[int, Field(ge=0, le=128)]


class SubnetPoolUpdate(Strict):
    name: Text = ""
    description: Text = ""
    prefixes: Omittable[Prefixes] = None
    default_prefixlen: Omittable[Length] = None
    min_prefixlen: Omittable[Length] = None
    max_prefixlen: Omittable[Length] = None
    default_quota: Omittable[Annotated[int, Field(ge=0, lt=2**31)]] = None
    is_default: bool = False
    address_scope_id: Uuid | None = None


class SubnetPoolCreate(SubnetPoolUpdate, Owned):
    prefixes: Prefixes
    shared: bool = False


class AddressScopeUpdate(Strict):
    name: Text = ""
    shared: bool = False


class AddressScopeCreate(AddressScopeUpdate, Owned):
    ip_version: Literal[4, 6]


class RbacPolicyUpdate(Strict):
    target_tenant: Omittable[Id] = None  # the project, or "*"


class RbacPolicyCreate(RbacPolicyUpdate, Owned):
    object_type: Text
    object_id: Uuid
    target_tenant: Id
    action: Text


MAX_TAGS = 50


def _unique(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise ValueError("Duplicate items in the list.")
    return tags


class Tags(Strict):
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_unique)]


Limit = Omittable[Annotated[int, Field(ge=-1, lt=2**31)]]


class Quota(Strict):
    network: Limit = None
    subnet: Limit = None
    subnetpool: Limit = None
    port: Limit = None
    rbac_policy: Limit = None
    router: Limit = None
    floatingip: Limit = None
    # A limit below the usage is refused unless `force` is true. `check_limit` requests that check, which is the
    # default.
    force: bool = False
    check_limit: bool = True
    # Some clients send the owner, too; the path decides.
    project_id: Omittable[Id] = None
    tenant_id: Omittable[Id] = None


# Attributes that are shown, and that no request can set.
STANDARD = {"id", "status", "created_at", "updated_at", "revision_number", "tags"}
READ_ONLY = frozenset({*STANDARD, "subnets", "ipv4_address_scope", "ipv6_address_scope", "dns_assignment"})
READ_ONLY |= {"qos_network_policy_id", "rules"}


def attributes(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names of the attributes in bodies of *schema*."""
    return frozenset(field.alias or name for name, field in schema.model_fields.items())


def refuse(value: object, names: Container[str], message: str) -> None:
    """Raise BadRequest with *message* if the resource *value* has one of the attributes *names*."""
    for name in value if isinstance(value, dict) else ():
        if name in names:
            raise BadRequest(message.format(name))


def parse(schema: type[Model], value: object) -> Model:
    """Return *value*, validated by *schema*; raise BadRequest if it is not valid."""
    return checked(schema.model_validate, value, explain)


def one(schema: type[Model], body: Mapping[str, Any], name: str) -> Model:
    """Return the resource in the body `{name: {...}}`."""
    if not isinstance(body.get(name), dict) or len(body) > 1:
        raise BadRequest(f"Unable to find '{name}' in request body.")
    return parse(schema, body[name])


def one_or_many(schema: type[Model], body: Mapping[str, Any], name: str, plural: str) -> tuple[list[Model], bool]:
    """Return the resources in the body `{name: {...}}` or `{plural: [{...}, ...]}`, and whether it is the latter."""
    bulk = plural in body
    values = body[plural] if bulk else [body.get(name)]
    if not isinstance(values, list) or not values:
        raise BadRequest(f"Unable to find '{plural}' in request body.")
    for value in values:
        refuse(value, READ_ONLY, "Attribute '{}' not allowed in POST")
    if not bulk:
        return [one(schema, body, name)], False
    return [parse(schema, value) for value in values], True
