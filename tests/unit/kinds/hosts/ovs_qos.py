"""A switch's meters and flows, and the files from which they are restored."""

from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_qos

from kinds.fake_flows import FlowHost

LIMIT = {"direction": "egress", "max_kbps": 3000}
PORT = {
    "port_security_enabled": True,
    "qos": {
        "bandwidth_limits": [LIMIT, {"direction": "ingress", "max_kbps": 5000, "max_burst_kbps": 800}],
        "packet_rate_limits": [{"direction": "egress", "max_kpps": 1}],
        "dscp_mark": 26,
    },
}
ONE = "1a0b0c0d-0000-4000-8000-000000000001"


def bad(**rules: Any) -> dict[str, Any]:
    return {"ports": [{"id": ONE, "qos": rules}]}


class Host(FlowHost):
    kind = ovs_qos.OvsQos
    bad = [
        ({"ports": [{"id": "../../x", **PORT}]}, "UUID"),
        (bad(bandwidth_limits=[LIMIT, LIMIT]), "only one"),
        (bad(bandwidth_limits=[{**LIMIT, "max_kbps": -1}]), "between"),
        (bad(bandwidth_limits=[{**LIMIT, "max_burst_kbps": 2**31}]), "between"),
        (bad(dscp_mark=64), "DSCP"),
    ]
    change = {"ports": [{"id": ONE, "qos": {"bandwidth_limits": [{**LIMIT, "max_kbps": 4000}], "dscp_mark": 10}}]}

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "ports": [{"id": f"1{identifier[1:]}", **PORT}], **changes}
