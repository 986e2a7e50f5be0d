"""Request bodies of routers, floating IPs and port forwardings."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from skywright.errors import lacking
from skywright.http.bodies import EmptyIfNull, Omittable, Strict, only_empty
from skywright.services.network.schemas import FixedIp, IpAddress, Owned, Route, Text, Uuid

MAX_ROUTES = 30  # of a router: the default of Neutron's quota `router_route`
NOT_HA = only_empty(lacking("highly available routers"))
NOT_DISTRIBUTED = only_empty(lacking("distributed routers"))


class Gateway(Strict):
    network_id: Uuid
    enable_snat: bool = True
    external_fixed_ips: EmptyIfNull[list[FixedIp]] = []


def _null_if_empty(value: Any) -> Any:
    return None if value == {} else value


def _unique(routes: list[Route]) -> list[Route]:
    seen: list[Route] = []
    for route in routes:
        if route in seen:
            raise ValueError(f"Duplicate hostroute '{route.model_dump()}'.")
        seen.append(route)
    return routes


Routes = Annotated[list[Route], AfterValidator(_unique)]


class _Router(Strict):
    name: Text = ""
    description: Text = ""
    admin_state_up: bool = True
    external_gateway_info: Annotated[Gateway | None, BeforeValidator(_null_if_empty)] = None
    ha: Annotated[bool, NOT_HA] = False
    distributed: Annotated[bool, NOT_DISTRIBUTED] = False


class RouterUpdate(_Router):
    routes: EmptyIfNull[Routes] = []


class RouterCreate(_Router, Owned):
    pass


class RouterInterface(Strict):
    """Which interface to add or remove."""

    subnet_id: Omittable[Uuid] = None
    port_id: Omittable[Uuid] = None


class ExtraRoutes(Strict):
    routes: Routes


class FloatingIpUpdate(Strict):
    description: Text = ""
    port_id: Uuid | None = None
    fixed_ip_address: IpAddress | None = None


class FloatingIpCreate(FloatingIpUpdate, Owned):
    floating_network_id: Uuid
    floating_ip_address: IpAddress | None = None
    subnet_id: Uuid | None = None


PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortRange = Annotated[str, Field(max_length=11, pattern="^[0-9]{1,5}(:[0-9]{1,5})?$")]


class PortForwardingUpdate(Strict):
    description: Text = ""
    protocol: Omittable[Literal["tcp", "udp"]] = None
    external_port: PortNumber | None = None
    external_port_range: PortRange | None = None
    internal_port_id: Omittable[Uuid] = None
    internal_ip_address: Omittable[IpAddress] = None
    internal_port: PortNumber | None = None
    internal_port_range: PortRange | None = None


class PortForwardingCreate(PortForwardingUpdate):
    protocol: Literal["tcp", "udp"]
    internal_port_id: Uuid
