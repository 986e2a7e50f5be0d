"""The types of QoS rules."""

from dataclasses import dataclass
from typing import Any

from skywright.services.network.qos_tables import QosRule

LARGEST = 2**31 - 1
DIRECTIONS = ("egress", "ingress")
DSCP_MARKS = (0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56)


@dataclass(frozen=True)
class RuleType:
    """A type of rules: its name, {column: attribute of its rules}, and the values that the attributes may have.

    `has_alias`: as in Neutron, not all types also have paths without the policy.
    """

    name: str
    columns: dict[str, str]
    parameters: dict[str, list[Any] | dict[str, int]]
    has_alias: bool = True

    def view(self, row: QosRule) -> dict[str, Any]:
        """Return the attributes of a rule, without its id."""
        return {name: getattr(row, column) for column, name in self.columns.items()}

    def details(self) -> dict[str, Any]:
        """Return what the switch supports of this type, in Neutron's format."""
        found = [
            {
                "parameter_name": name,
                "parameter_type": "range" if isinstance(values, dict) else "choices",
                "parameter_values": values,
            }
            for name, values in self.parameters.items()
        ]
        return {"type": self.name, "drivers": [{"name": "openvswitch", "supported_parameters": found}]}


def _limit(name: str, rate: str, burst: str, *, has_alias: bool = True) -> RuleType:
    values = {"start": 0, "end": LARGEST}
    columns = {"value": rate, "burst": burst, "direction": "direction"}
    return RuleType(name, columns, {rate: values, burst: values, "direction": list(DIRECTIONS)}, has_alias=has_alias)


BANDWIDTH_LIMIT = _limit("bandwidth_limit", "max_kbps", "max_burst_kbps")
PACKET_RATE_LIMIT = _limit("packet_rate_limit", "max_kpps", "max_burst_kpps", has_alias=False)
DSCP_MARKING = RuleType("dscp_marking", {"value": "dscp_mark"}, {"dscp_mark": list(DSCP_MARKS)})
TYPES = {one.name: one for one in (BANDWIDTH_LIMIT, DSCP_MARKING, PACKET_RATE_LIMIT)}
