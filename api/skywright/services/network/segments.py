"""The segments of networks, and the MTU that they leave."""

import random

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.http import BadRequest, Conflict
from skywright.services.network.network_types import TYPES
from skywright.services.network.schemas import NetworkCreate
from skywright.services.network.segment_ids import free_id
from skywright.services.network.tables import Network

PHYSICAL_MTU = 1500  # of the hosts' data network
ATTEMPTS = 20
LARGEST_INTEGER = (1 << 31) - 1


def mtu_of(kind: str, wanted: int | None) -> int:
    """Return the MTU of a network of type *kind*: *wanted*, or the largest one."""
    largest = PHYSICAL_MTU - TYPES[kind].header
    if not wanted:
        return largest
    if not 68 <= wanted <= largest:
        raise _invalid(f"Requested MTU is out of range, it may be 68 to {largest}")
    return wanted


def place(session: Session, network: Network, item: NetworkCreate) -> None:
    """Add *network* with the requested segment, or a free one."""
    segments = TYPES[network.type]
    network.physical_network = _physical_network(session, network.type, item.physical_network)
    wanted = item.segmentation_id
    if wanted is not None and not segments.largest_id:
        raise _invalid(f"segmentation_id prohibited for {network.type} provider network")
    if wanted is not None and wanted > segments.largest_id:
        raise _invalid(f"segmentation_id is out of range for a {network.type} network")
    for _ in range(ATTEMPTS):
        network.segmentation_id = wanted or _free_id(session, network)
        try:
            with session.begin_nested():
                session.add(network)
                session.flush()
        except IntegrityError as error:
            # The segment is in use: another request took it since, or it was requested.
            if wanted is not None or network.type == "flat":
                raise _in_use(network) from error
        else:
            return
    raise Conflict("Unable to create the network. No tenant network is available.", kind="NoNetworkAvailable")


def _physical_network(session: Session, kind: str, wanted: str | None) -> str:
    if not TYPES[kind].physical:
        if wanted and kind == "local":
            raise _invalid("physical_network prohibited for local provider network")
        if wanted:
            raise _invalid(f"provider:physical_network specified for {kind} network")
        return ""
    known = {
        name for host in session.scalars(select(Host)) for name in host.variables.get("vswitch_physical_networks", {})
    }
    if not wanted or wanted not in known:
        raise _invalid(f"physical_network '{wanted or ''}' unknown for {kind} provider network")
    return wanted


def _free_id(session: Session, network: Network) -> int:
    """Return a number that nothing else has, or 0 for a network without ids: the table's constraint decides."""
    if network.type == "local":
        return -random.SystemRandom().randint(1, LARGEST_INTEGER)
    if not TYPES[network.type].largest_id:
        return 0
    number = free_id(session, network)
    if number is None:
        what = "VLAN" if network.type == "vlan" else "tenant network"
        raise Conflict(f"Unable to create the network. No {what} is available.", kind="NoNetworkAvailable")
    return number


def _in_use(network: Network) -> Conflict:
    where = f"on physical network {network.physical_network}" if network.physical_network else ""
    text = (
        f"Unable to create the network. The {network.type} segment {network.segmentation_id or ''} {where} is in use."
    )
    return Conflict(" ".join(text.split()), kind=TYPES[network.type].in_use)


def _invalid(text: str) -> BadRequest:
    return BadRequest(f"Invalid input for operation: {text}.", kind="InvalidInput")
