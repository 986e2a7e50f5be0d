"""Ranges of ports of port forwardings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.services.network.errors import bad
from skywright.services.network.router_schemas import PortForwardingUpdate
from skywright.services.network.router_tables import FloatingIp, PortForwarding

NAME = "port_forwarding"
Range = tuple[int, int]


def external_range(item: PortForwardingUpdate) -> Range | None:
    """Return the range of external ports in *item*, if there is one."""
    return _range(item.external_port, item.external_port_range)


def internal_range(item: PortForwardingUpdate) -> Range | None:
    """Return the range of internal ports in *item*, if there is one."""
    return _range(item.internal_port, item.internal_port_range)


def shown(side: str, first: int, last: int) -> dict[str, Any]:
    """Return a range as the API shows it; a *side* is internal or external."""
    return {f"{side}_port": first if first == last else None, f"{side}_port_range": f"{first}:{last}"}


def check_collisions(session: Session, row: FloatingIp, forwarding: PortForwarding) -> None:
    """Refuse ports that another port forwarding of the floating IP, or of the fixed address, has."""
    with session.no_autoflush:  # a new row is not complete yet
        same_target = select(PortForwarding).where(
            PortForwarding.internal_port_id == forwarding.internal_port_id,
            PortForwarding.internal_ip_address == forwarding.internal_ip_address,
        )
        inside = list(session.scalars(same_target))
    for side, others in (("internal", inside), ("external", row.port_forwardings)):
        mine = _of(forwarding, side)
        for other in others:
            have = _of(other, side)
            if other is forwarding or other.protocol != forwarding.protocol:
                continue
            if have[0] <= mine[1] and mine[0] <= have[1]:
                text = f"There is a port collision with the {side}_port_range. The following ranges collide: "
                raise bad(NAME, f"{text}{have[0]}:{have[1]} and {mine[0]}:{mine[1]}")


def _of(row: PortForwarding, side: str) -> Range:
    return getattr(row, f"{side}_port_min"), getattr(row, f"{side}_port_max")


def _range(port: int | None, text: str | None) -> Range | None:
    if port is not None and text is not None:
        raise bad(NAME, "A port and a range of ports cannot both be specified")
    if port is not None:
        return port, port
    if text is None:
        return None
    first, _, last = text.partition(":")
    found = int(first), int(last or first)
    if not 1 <= found[0] <= found[1] <= 65535:
        raise bad(NAME, f"Invalid input for port range. Reason: '{text}' is not a valid range of ports from 1 to 65535")
    return found
