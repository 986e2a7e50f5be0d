"""Request bodies: Neutron's attributes, checked and brought to one form."""

import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import netaddr
import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from skywright.http import BadRequest

Model = TypeVar("Model", bound=BaseModel)


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("contains a NUL character")
    return value


def _json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        if len(orjson.dumps(value)) > 4095:
            raise ValueError("is too long")
    except TypeError as error:
        raise ValueError("is not text, numbers, lists and objects") from error
    return value


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise ValueError("is not a valid UUID") from error


def _address(value: str) -> str:
    try:
        return str(netaddr.IPAddress(value))
    except (netaddr.AddrFormatError, ValueError) as error:
        raise ValueError("is not a valid IP address") from error


def _cidr(value: str) -> str:
    try:
        if "/" not in value or value != "".join(value.split()):
            raise ValueError
        return str(netaddr.IPNetwork(value).cidr)
    except (netaddr.AddrFormatError, ValueError) as error:
        raise ValueError("is not a valid IP subnet") from error


def _mac(value: str) -> str:
    mac = value.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac) or mac == "00:00:00:00:00:00":
        raise ValueError("is not a valid MAC address")
    return mac


Text = Annotated[str, Field(max_length=255), AfterValidator(_text)]
Id = Annotated[str, Field(max_length=64), AfterValidator(_text)]
Uuid = Annotated[str, Field(max_length=64), AfterValidator(_uuid)]
IpAddress = Annotated[str, Field(max_length=64), AfterValidator(_address)]
Cidr = Annotated[str, Field(max_length=64), AfterValidator(_cidr)]
Mac = Annotated[str, Field(max_length=32), AfterValidator(_mac)]
Tag = Annotated[str, Field(min_length=1, max_length=255, pattern="^[^,]*$"), AfterValidator(_text)]


class Strict(BaseModel):
    """Attributes that we do not know are refused."""

    model_config = ConfigDict(extra="forbid")

    def given(self, *names: str) -> dict[str, Any]:
        """The attributes that the request brought, of those *names*."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class Owned(Strict):
    """What can be made for another project; `tenant_id` is the old name."""

    project_id: Id | None = None
    tenant_id: Id | None = None

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
    mtu: Annotated[int, Field(ge=0, le=2**31)] | None = None
    # There are no routers yet, hence no external networks, and no filters on ports.
    external: Literal[False] = Field(False, alias="router:external")
    port_security_enabled: Literal[False] = False


class NetworkCreate(NetworkUpdate, Owned):
    type: Literal["vxlan", "vlan", "flat"] | None = Field(None, alias="provider:network_type")
    physical_network: Annotated[Id, Field(min_length=1)] | None = Field(None, alias="provider:physical_network")
    segmentation_id: Annotated[int, Field(ge=1, lt=1 << 24)] | None = Field(None, alias="provider:segmentation_id")


class Pool(Strict):
    start: IpAddress
    end: IpAddress


class Route(Strict):
    destination: Cidr
    nexthop: IpAddress


class SubnetUpdate(Strict):
    name: Text = ""
    description: Text = ""
    gateway_ip: IpAddress | None = None
    enable_dhcp: bool = True
    dns_nameservers: Annotated[list[IpAddress], Field(max_length=5)] = []
    host_routes: Annotated[list[Route], Field(max_length=20)] = []
    allocation_pools: Annotated[list[Pool], Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        if len(set(self.dns_nameservers)) < len(self.dns_nameservers):
            raise ValueError("duplicate dns_nameservers")
        if len({(route.destination, route.nexthop) for route in self.host_routes}) < len(self.host_routes):
            raise ValueError("duplicate host_routes")
        return self


class SubnetCreate(SubnetUpdate, Owned):
    network_id: Uuid
    ip_version: Literal[4, 6] | None = None
    cidr: Cidr | None = None
    subnetpool_id: Uuid | None = None
    use_default_subnetpool: bool = False
    prefixlen: Annotated[int, Field(ge=1, le=128)] | None = None
    # Router advertisements come with routers.
    ipv6_ra_mode: None = None
    ipv6_address_mode: None = None


class FixedIp(Strict):
    subnet_id: Uuid | None = None
    ip_address: IpAddress | None = None


class PortUpdate(Strict):
    name: Text = ""
    description: Text = ""
    admin_state_up: bool = True
    fixed_ips: list[FixedIp] | None = None
    mac_address: Mac | None = None
    device_id: Text = ""
    device_owner: Text = ""
    host: Text | None = Field("", alias="binding:host_id")
    binding_profile: Annotated[dict[str, Any], AfterValidator(_json)] | None = Field(None, alias="binding:profile")
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    # Nothing filters ports yet: what asks for no filter is granted.
    port_security_enabled: Literal[False] = False
    security_groups: Annotated[list[Any], Field(max_length=0)] = []
    allowed_address_pairs: Annotated[list[Any], Field(max_length=0)] = []


class PortCreate(PortUpdate, Owned):
    network_id: Uuid


class SubnetPoolUpdate(Strict):
    name: Text = ""
    description: Text = ""
    prefixes: Annotated[list[Cidr], Field(min_length=1, max_length=100)] | None = None
    default_prefixlen: Annotated[int, Field(ge=0, le=128)] | None = None
    min_prefixlen: Annotated[int, Field(ge=0, le=128)] | None = None
    max_prefixlen: Annotated[int, Field(ge=0, le=128)] | None = None
    default_quota: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    is_default: bool = False
    address_scope_id: None = None


class SubnetPoolCreate(SubnetPoolUpdate, Owned):
    prefixes: Annotated[list[Cidr], Field(min_length=1, max_length=100)]
    shared: bool = False


MAX_TAGS = 100


class Tags(Strict):
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)]


Limit = Annotated[int, Field(ge=-1, lt=2**31)]


class Quota(Strict):
    network: Limit | None = None
    subnet: Limit | None = None
    subnetpool: Limit | None = None
    port: Limit | None = None
    # Limits below what the project uses are refused unless `force` is true; `check_limit` says so, and changes nothing.
    force: bool = False
    check_limit: bool = True
    # Some clients send the owner again; the path decides.
    project_id: Id | None = None
    tenant_id: Id | None = None


def parse(schema: type[Model], value: object) -> Model:
    """*value* as a *schema*, or a BadRequest that says what is wrong."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise BadRequest("; ".join(_explain(item) for item in error.errors()[:5])) from error


def one(schema: type[Model], body: Mapping[str, Any], name: str) -> Model:
    """The body `{name: {...}}`."""
    if not isinstance(body.get(name), dict) or len(body) > 1:
        raise BadRequest(f"Unable to find '{name}' in request body.")
    return parse(schema, body[name])


def one_or_many(schema: type[Model], body: Mapping[str, Any], name: str, plural: str) -> tuple[list[Model], bool]:
    """The body `{name: {...}}` or `{plural: [{...}, ...]}`, and whether it is the latter."""
    if plural not in body:
        return [one(schema, body, name)], False
    values = body[plural]
    if not isinstance(values, list) or not values:
        raise BadRequest(f"Unable to find '{plural}' in request body.")
    return [parse(schema, value) for value in values], True


def _explain(item: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"Unrecognized attribute(s) '{where}'"
    return f"Invalid input for {where or 'the request'}. Reason: {item['msg']}."
