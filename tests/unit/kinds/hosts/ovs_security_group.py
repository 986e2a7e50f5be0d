"""A switch's flows, and the files from which they are restored."""

from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_security_group

from kinds.fake_flows import FlowHost

SSH = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


class Host(FlowHost):
    kind = ovs_security_group.OvsSecurityGroup
    bad = [
        ({"rules": [{**SSH, "remote_ip_prefix": "fd00::/8"}]}, "IPv4"),
        ({"rules": [{**SSH, "protocol": "tcp actions=x"}]}, "protocol"),
        ({"rules": [{**SSH, "protocol": "udplite"}]}, "udplite"),
        ({"rules": [{**SSH, "port_range_max": 21}]}, "22:21"),
        ({"rules": [{**SSH, "remote_group_id": "x"}]}, "UUID"),
        ({"members": ["10.0.0.5,actions=x"]}, "x"),
    ]
    change = {"rules": [SSH, {**SSH, "direction": "egress"}], "members": ["10.0.0.6"], "generation": 2}

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        rules = [SSH, {"direction": "ingress", "remote_group_id": identifier}]
        return {"id": identifier, "rules": rules, "members": ["10.0.0.5", "fd00::5"], "generation": 1, **changes}
