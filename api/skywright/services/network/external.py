"""External networks: those of the gateways of routers and of floating IPs."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Conflict
from skywright.services.network.router_ports import GATEWAY
from skywright.services.network.router_tables import Router
from skywright.services.network.sharing import EVERYONE, EXTERNAL, share, targets, unshare
from skywright.services.network.tables import Network, Port

KIND = "network"  # the API's type of the objects of policies


def set_external(session: Session, network: Network, *, external: bool) -> None:
    """Make *network* an external one for all projects, or a network without gateways of routers."""
    if network.external == external:
        return
    if external:
        share(network, KIND, network.project_id, action=EXTERNAL)
    else:
        gateways = select(Port.id).where(Port.network_id == network.id, Port.device_owner == GATEWAY)
        if session.scalar(gateways.limit(1)) is not None:
            text = f"External network {network.id} cannot be updated to be made non-external, since it has existing "
            raise Conflict(f"{text}gateway ports.", kind="ExternalNetworkInUse")
        for target in targets(network, EXTERNAL):
            unshare(network, target, EXTERNAL)
        network.is_default = False
    network.external = external


def set_default(session: Session, network: Network, *, is_default: bool) -> None:
    """Make *network* the default external network, of which there is one."""
    if is_default and not network.external:
        raise BadRequest(f"Network {network.id} is not an external network.", kind="InvalidInput")
    if is_default:
        other = session.scalar(select(Network.id).where(Network.is_default, Network.id != network.id))
        if other is not None:
            raise Conflict(f"A default external network already exists: {other}.", kind="DefaultExternalNetworkExists")
    network.is_default = is_default


def reason_to_keep(session: Session, network: Network, target: str, also: str | None = None) -> str | None:
    """Return why the policy that gives *target* access to the external *network* is needed, if it is.

    *also*: the project that gets access instead.
    """
    others = targets(network, EXTERNAL) - {target} | ({also} if also else set())
    if EVERYONE in others:
        return None
    if target == EVERYONE and network.is_default:
        return "Default external networks must be shared to everyone."
    routers = select(Router.project_id).join(Port, Port.device_id == Router.id)
    users = set(session.scalars(routers.where(Port.network_id == network.id, Port.device_owner == GATEWAY)))
    if users - others if target == EVERYONE else target in users:
        return "There are routers attached to this network that depend on this policy for access."
    return None
