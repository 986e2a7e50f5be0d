"""Bodies of requests for QoS policies and their rules."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticKnownError

from skywright.http.bodies import Strict
from skywright.services.network.qos_rule_types import (
    BANDWIDTH_LIMIT,
    DSCP_MARKING,
    DSCP_MARKS,
    LARGEST,
    PACKET_RATE_LIMIT,
    RuleType,
)
from skywright.services.network.schemas import Owned, Text


def _dscp_mark(value: int) -> int:
    if value not in DSCP_MARKS:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(map(str, DSCP_MARKS))})
    return value


Number = Annotated[int, Field(ge=0, le=LARGEST)]
Mark = Annotated[int, AfterValidator(_dscp_mark)]


class QosPolicyUpdate(Strict):
    name: Text = ""
    description: Text = ""
    shared: bool = False
    is_default: bool = False


class QosPolicyCreate(QosPolicyUpdate, Owned):
    pass


class _Directed(Strict):
    direction: Literal["egress", "ingress"] = "egress"


class BandwidthLimitUpdate(_Directed):
    max_kbps: Number = 0
    max_burst_kbps: Number = 0


class BandwidthLimitCreate(BandwidthLimitUpdate):
    max_kbps: Number


class PacketRateLimitUpdate(_Directed):
    max_kpps: Number = 0
    max_burst_kpps: Number = 0


class PacketRateLimitCreate(PacketRateLimitUpdate):
    max_kpps: Number


class DscpMarkingUpdate(Strict):
    dscp_mark: Mark = 0


class DscpMarkingCreate(DscpMarkingUpdate):
    dscp_mark: Mark


# The bodies that create and update a rule, by the name of its type.
BODIES: dict[str, tuple[type[Strict], type[Strict]]] = {
    BANDWIDTH_LIMIT.name: (BandwidthLimitCreate, BandwidthLimitUpdate),
    DSCP_MARKING.name: (DscpMarkingCreate, DscpMarkingUpdate),
    PACKET_RATE_LIMIT.name: (PacketRateLimitCreate, PacketRateLimitUpdate),
}


def columns(kind: RuleType, item: Strict) -> dict[str, Any]:
    """Return the columns of a rule that the body of a request sets."""
    return {column: getattr(item, name) for column, name in kind.columns.items() if name in item.model_fields_set}
