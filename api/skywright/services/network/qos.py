"""QoS policies of ports: which one holds for a port, and what its host gets of it."""

from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from skywright.core import Item
from skywright.services.network.qos_rule_types import BANDWIDTH_LIMIT, DSCP_MARKING, PACKET_RATE_LIMIT, RuleType
from skywright.services.network.qos_tables import QosPolicy
from skywright.services.network.tables import Network, Port

OWN_PORTS = "network:"  # device owners of ports of the network service, which have no policy


def servers_of(policy_id: str) -> Select[str]:
    """Return the query for the devices of the ports that the policy holds for."""
    inherited = and_(Port.qos_policy_id.is_(None), Network.qos_policy_id == policy_id)
    query = select(Port.device_id).join(Network, Network.id == Port.network_id)
    return query.where(or_(Port.qos_policy_id == policy_id, inherited))


def port_item(session: Session, network: Network, port: Port) -> Item | None:
    """Return the option `qos` of a port: the rules of its own policy, or else of its network's, or None."""
    if port.device_owner.startswith(OWN_PORTS):
        return None
    policy_id = port.qos_policy_id or network.qos_policy_id
    policy = session.get(QosPolicy, policy_id) if policy_id else None
    if policy is None or not policy.rules:
        return None
    return {
        "bandwidth_limits": _rules(policy, BANDWIDTH_LIMIT),
        "packet_rate_limits": _rules(policy, PACKET_RATE_LIMIT),
        "dscp_mark": next((rule.value for rule in policy.rules if rule.type == DSCP_MARKING.name), None),
    }


def _rules(policy: QosPolicy, kind: RuleType) -> list[dict[str, Any]]:
    return [kind.view(rule) for rule in sorted(policy.rules, key=lambda rule: rule.direction) if rule.type == kind.name]
