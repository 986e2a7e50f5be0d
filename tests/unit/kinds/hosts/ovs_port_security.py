"""A switch's flows, and the files from which they are restored."""

from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security

from kinds.fake_flows import FlowHost

PORT = {
    "mac": "fa:16:3e:00:00:01",
    "addresses": ["10.0.0.5", "fd00::5"],
    "port_security_enabled": True,
    "security_groups": ["5a0b0c0d-0000-4000-8000-000000000001"],
}
ONE = "1a0b0c0d-0000-4000-8000-000000000001"


class Host(FlowHost):
    kind = ovs_port_security.OvsPortSecurity
    bad = [
        ({"ports": [{"id": "../../x", **PORT}]}, "UUID"),
        ({"ports": [{"id": ONE, **PORT, "mac": "x"}]}, "MAC"),
        ({"ports": [{"id": ONE, **PORT, "addresses": ["10.0.0.5 actions=x"]}]}, "x"),
        ({"ports": [{"id": ONE, **PORT, "security_groups": ["default"]}]}, "UUID"),
    ]
    change = {
        "ports": [
            {"id": ONE, **PORT, "allowed_address_pairs": [{"ip_address": "10.0.0.100/24"}], "security_groups": []}
        ]
    }

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "ports": [{"id": f"1{identifier[1:]}", **PORT}], **changes}
