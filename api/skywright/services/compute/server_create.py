"""`POST /servers`: the checks, and the rows, ports and jobs in the same transaction."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from skywright.db import new_uuid
from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, Router
from skywright.http.microversions import version_of
from skywright.http.router import json_response
from skywright.jobs.engine.submit import submit
from skywright.services.compute import quotas
from skywright.services.compute.compute_hosts import compute_hosts
from skywright.services.compute.passwords import generate_password
from skywright.services.compute.scheduler import is_compute, zone_of
from skywright.services.compute.server_bodies import CreateServer, NewServer, check_hostname
from skywright.services.compute.server_demands import architecture_of, needs_config_drive
from skywright.services.compute.server_networks import (
    ATTACH_EXTERNAL,
    Interface,
    attach,
    authorize_ports,
    check_port_quota,
    wanted_interfaces,
)
from skywright.services.compute.server_sources import (
    GIB,
    ZERO_DISK,
    usable_flavor,
    usable_image,
    usable_keypair,
)
from skywright.services.compute.server_views import links_of
from skywright.services.compute.tables import Flavor, Keypair, Server
from skywright.services.compute.validation import unexpected
from skywright.services.image.internal import Image
from skywright.services.network.internal import served

router = Router()
FORCED_HOST = "os_compute_api:servers:create:forced_host"
REQUESTED_HOST = "compute:servers:create:requested_destination"
ATTACH_NETWORK = "os_compute_api:servers:create:attach_network"
ATTACH_VOLUME = "os_compute_api:servers:create:attach_volume"

MAX_SERVERS = 1000  # of one request
# {field of the body: its first microversion}.
SINCE = {"description": 19, "tags": 52, "host": 74, "hypervisor_hostname": 74, "hostname": 90}
SINCE |= {"trusted_image_certificates": 63}
UNTIL = {"personality": 56}


@dataclass(frozen=True)
class CreateRequest:
    """A validated request for servers."""

    wanted: NewServer
    flavor: Flavor
    image: Image
    keypair: Keypair | None
    password: str | None
    config_drive: bool
    interfaces: list[Interface]
    zone: str | None
    host: str | None
    count: int


@router.operation(
    "POST",
    "/v2.1/servers",
    policy=(
        "os_compute_api:servers:create",
        FORCED_HOST,
        REQUESTED_HOST,
        ATTACH_NETWORK,
        ATTACH_EXTERNAL,
        ATTACH_VOLUME,
        ZERO_DISK,
    ),
    status=202,
)
def create_server(context: Context, body: CreateServer) -> Response:
    create = _validated(context, body.server)
    reservation = f"r-{secrets.token_hex(4)}"
    servers = list(_build(context, create, reservation))
    if create.wanted.return_reservation_id:
        return json_response({"reservation_id": reservation}, 202)
    links = links_of(context.base_url, servers[0].id)
    view = {
        "id": servers[0].id,
        "links": links,
        "OS-DCF:diskConfig": servers[0].disk_config,
        "security_groups": [],  # this cloud has none yet; clients require the field
    }
    if create.password is not None:
        view["adminPass"] = create.password
    response = json_response({"server": view}, 202)
    response.headers["Location"] = links[0]["href"]
    return response


def _validated(context: Context, wanted: NewServer) -> CreateRequest:
    _check_version(wanted, version_of(context))
    _authorize(context, wanted)
    count = wanted.max_count or wanted.min_count
    if count < wanted.min_count:
        raise BadRequest("min_count must be <= max_count")
    if count > 1 and wanted.hostname:
        raise BadRequest("Unable to allocate a single hostname to multiple instances")
    if count > MAX_SERVERS:
        raise BadRequest(f"At most {MAX_SERVERS} servers can be made at once.")
    flavor = usable_flavor(context, str(wanted.flavorRef))
    image = usable_image(context, wanted, flavor)
    keypair = usable_keypair(context, wanted.key_name)
    allowed = quotas.limits(context.db, context.project_id)
    quotas.check_metadata(allowed, wanted.metadata)
    more = {"instances": count, "cores": count * flavor.vcpus, "ram": count * flavor.ram_mib}
    quotas.check_servers(context.db, context.project_id, allowed, more)
    zone, host = _placement(context, wanted)
    interfaces = wanted_interfaces(context, wanted.networks, count)
    authorize_ports(context, interfaces)
    check_port_quota(context, interfaces, count)
    # A config drive is the default: on a network without DHCP, and for its password, a guest needs it.
    drive = wanted.config_drive is not False or needs_config_drive(image)
    if not drive:
        _check_lost(context, wanted, interfaces)
    return CreateRequest(
        wanted,
        flavor,
        image,
        keypair,
        (wanted.adminPass or generate_password()) if drive else None,
        drive,
        interfaces,
        zone,
        host,
        count,
    )


def _authorize(context: Context, wanted: NewServer) -> None:
    """Enforce the rules of optional parts of the request."""
    if (wanted.availability_zone or "").partition(":")[2]:
        context.enforce(FORCED_HOST)
    if wanted.host or wanted.hypervisor_hostname:
        context.enforce(REQUESTED_HOST)
    if wanted.networks and wanted.networks != "none":
        context.enforce(ATTACH_NETWORK)
    if wanted.block_device_mapping_v2:
        context.enforce(ATTACH_VOLUME)


def _check_version(wanted: NewServer, version: int) -> None:
    given = wanted.model_fields_set
    foreign = [name for name, first in SINCE.items() if name in given and version < first]
    foreign += [name for name, last in UNTIL.items() if name in given and version > last]
    if foreign:
        raise unexpected(foreign)
    check_hostname(wanted.hostname, version)


def _check_lost(context: Context, wanted: NewServer, interfaces: Sequence[Interface]) -> None:
    """Refuse what the guest would get neither from a config drive nor, with DHCP, from the metadata service."""
    asks = any(served(context.db, interface.network) for interface in interfaces)
    for name in ("adminPass",) if asks else ("adminPass", "key_name", "user_data"):
        if getattr(wanted, name) is not None:
            without = "a config drive" if name == "adminPass" else "a config drive or DHCP"
            raise BadRequest(f"A server without {without} cannot have {name}: its guest would not get it.")


def _placement(context: Context, wanted: NewServer) -> tuple[str | None, str | None]:
    """Return the (zone, host) of the request; only administrators may use `zone:host[:node]` and `host`."""
    zone, _, forced = (wanted.availability_zone or "").partition(":")
    requested = [name for name in (wanted.host, wanted.hypervisor_hostname) if name]
    if forced and requested:
        raise BadRequest(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually "
            "exclusive."
        )
    if len(set(requested)) > 1:  # the node of a host has the host's name
        raise BadRequest(f"Compute host {requested[1]} could not be found.")
    forced = forced.partition(":")[0] or (requested[0] if requested else "")
    if wanted.availability_zone and wanted.availability_zone.count(":") > 2:
        raise BadRequest("Unable to parse availability_zone")
    if not zone and not forced:
        return None, None
    if zone and zone not in {zone_of(host) for host in compute_hosts(context.db)}:
        raise BadRequest("The requested availability zone is not available")
    host = context.db.get(Host, forced) if forced else None
    if forced and (host is None or not is_compute(host)):
        raise BadRequest(f"Compute host {forced} could not be found.")
    return zone or None, forced or None


def _build(context: Context, create: CreateRequest, reservation: str) -> Iterator[Server]:
    """Create the servers of *create* with their ports and jobs."""
    wanted, flavor = create.wanted, create.flavor
    frozen = {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "extra_specs": dict(flavor.extra_specs),
    }
    for index in range(create.count):
        name = wanted.name if create.count == 1 else f"{wanted.name[:250]}-{index + 1}"
        identifier = new_uuid()
        server = Server(
            id=identifier,
            name=name,
            hostname=_hostname(wanted, name, identifier),
            reservation_id=reservation,
            launch_index=index,
            **_columns(context, create, frozen),
        )
        context.db.add(server)
        attach(context, server, create.interfaces)
        submit(context, "server", "create", [("server", server.id)])
        yield server


def _columns(context: Context, create: CreateRequest, flavor: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that all servers of *create* share."""
    wanted, image = create.wanted, create.image
    size = image.virtual_size or image.size or 0
    return {
        "project_id": context.project_id,
        "user_id": context.caller.user_id,
        "description": wanted.description if "description" in wanted.model_fields_set else _old(context, wanted),
        "flavor": flavor,
        "vcpus": flavor["vcpus"],
        "ram_mib": flavor["ram"],
        "disk_gib": flavor["disk"] or max(-(-size // GIB), image.min_disk),
        "image_id": image.id,
        "key_name": create.keypair.name if create.keypair else None,
        "public_key": create.keypair.public_key if create.keypair else None,
        "properties": wanted.metadata,
        "tags": wanted.tags,
        "user_data": wanted.user_data,
        "admin_pass": create.password,
        "config_drive": create.config_drive,
        "access_ipv4": wanted.accessIPv4,
        "access_ipv6": wanted.accessIPv6,
        "disk_config": wanted.disk_config,
        "availability_zone": create.zone,
        "architecture": architecture_of(image),
        "wanted_host": create.host,
    }


def _old(context: Context, wanted: NewServer) -> str | None:
    """Return the description; before 2.19 it is the server's name."""
    return wanted.name if version_of(context) < 19 else None


def _hostname(wanted: NewServer, name: str, identifier: str) -> str:
    """Return the hostname of the guest: the letters, digits and hyphens of the name."""
    if wanted.hostname:
        return wanted.hostname
    text = re.sub(r"[\s_.]+", "-", name.lower())
    text = re.sub(r"[^a-z0-9-]", "", text)[:63].strip("-")
    return text or f"server-{identifier}"
