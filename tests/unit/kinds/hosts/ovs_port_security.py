"""A switch's flows, and the files from which they are restored."""

import re
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import COOKIE_MASK, COOKIES

from kinds.fake_host import FakeHost

PORT = {
    "mac": "fa:16:3e:00:00:01",
    "addresses": ["10.0.0.5", "fd00::5"],
    "port_security_enabled": True,
}


class FakeFlows:
    """The flows of a bridge. Each has a cookie, a match with its priority, and actions."""

    def __init__(self) -> None:
        self.actions: dict[tuple[str, str], str] = {}

    def __call__(self, argv: list[str], stdin: str = "") -> str:
        if argv[1] == "bundle":
            changed = FakeFlows()
            changed.actions = dict(self.actions)
            for line in stdin.splitlines():
                changed.change(line)
            self.actions = changed.actions
            return ""
        assert argv[1:] == ["--names", "--no-stats", "dump-flows", "br-int", ovs_port_security.OURS]
        lines = [f" cookie={cookie}, {match} actions={actions}" for (cookie, match), actions in self.actions.items()]
        return "".join(f"{line}\n" for line in lines if int(line[8:].split(",")[0], 16) & COOKIE_MASK == COOKIES)

    def change(self, line: str) -> None:
        found = re.fullmatch(r"flow (\w+) cookie=(\w+)(/-1)?, (.+?)( actions=(.*))?", line)
        assert found, line
        command, cookie, whole, match, _, actions = found.groups()
        if command == "delete_strict":
            assert whole and actions is None
            self.actions.pop((cookie, match), None)
        elif any(other == match and name != cookie for name, other in self.actions):
            raise ItemError("ovs-ofctl failed (1): the flow of another cookie would be replaced")
        else:
            assert command == "add" and whole is None
            self.actions[cookie, match] = actions


class Host(FakeHost):
    kind = ovs_port_security.OvsPortSecurity
    bad = [
        ({"ports": [{"id": "../../x", **PORT}]}, "UUID"),
        ({"ports": [{"id": "1a0b0c0d-0000-4000-8000-000000000001", **PORT, "mac": "x"}]}, "MAC"),
        ({"ports": [{"id": "1a0b0c0d-0000-4000-8000-000000000001", **PORT, "addresses": ["10.0.0.5 actions=x"]}]}, "x"),
    ]

    change = {
        "ports": [
            {
                "id": "1a0b0c0d-0000-4000-8000-000000000001",
                **PORT,
                "allowed_address_pairs": [{"ip_address": "10.0.0.100/24"}],
            }
        ]
    }

    def install(self) -> None:
        self.set_default("directory", self.root / "port-security")
        self.set_default("unit_directory", self.root / "system")
        (self.root / "system" / "ovs-vswitchd.service.wants").mkdir(parents=True, exist_ok=True)
        self.switch = FakeFlows()
        self.programs["ovs-ofctl"] = self.switch
        self.share("ovs-vsctl", self._wait, "wait-until")
        self.share("systemctl", self._enable, ovs_port_security.UNIT_NAME)

    def _wait(self, argv: list[str]) -> str:
        assert argv[2:5] == ["--", "wait-until", "Interface"] and argv[6] == "ofport>0"
        return ""

    def _enable(self, argv: list[str]) -> str:
        if argv[1] != "daemon-reload":
            assert argv[1] == "enable"
            (self.root / "system" / "ovs-vswitchd.service.wants" / argv[2]).touch()
        return ""

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "ports": [{"id": f"1{identifier[1:]}", **PORT}], **changes}

    def add_others(self) -> None:
        self.switch.actions["0x1", "priority=0"] = "NORMAL"

    def state(self) -> Any:
        return self.files(), self.switch.actions
