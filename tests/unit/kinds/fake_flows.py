"""A switch's flows, and the host of a kind whose items are flows."""

import re
from typing import Any, ClassVar

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security
from ansible_collections.skywright.cloud.plugins.module_utils.switch_flows import UNIT_NAME

from kinds.fake_host import FakeHost

LINE = re.compile(r"flow (add|delete_strict) cookie=(\w+)(/-1)?, (?:table=(\d+), )?(.+?)( actions=(.*))?")


class FakeFlows:
    """The flows of the bridge br-sec, {(cookie, table, priority and match): actions}, and the cookies of br-int."""

    def __init__(self) -> None:
        self.actions: dict[tuple[str, int, str], str] = {}
        self.old: set[str] = set()
        self.dumps = 0

    def __call__(self, argv: list[str], stdin: str = "") -> str:
        if argv[1] == "bundle":
            assert argv[2:] == ["br-sec", "-"]
            changed = FakeFlows()
            changed.actions = dict(self.actions)
            for line in stdin.splitlines():
                changed.change(line)
            self.actions = changed.actions
            return ""
        if argv[1] == "del-flows":
            assert argv[2] == "br-int" and argv[3].endswith("/-1")
            self.old.discard(argv[3][len("cookie=") : -len("/-1")])
            return ""
        assert argv[1:5] == ["--names", "--no-stats", "dump-flows", "br-sec"]
        self.dumps += 1
        [chosen] = argv[5:]
        value, mask = chosen.removeprefix("cookie=").split("/")
        wanted, bits = int(value, 16), int(mask, 0)
        lines = [self.text(*flow) for flow in self.actions if int(flow[0], 16) & bits == wanted]
        return "".join(f" {line}\n" for line in lines)

    def text(self, cookie: str, table: int, match: str) -> str:
        """A flow as the switch prints it."""
        where = f"table={table}, " if table else ""
        return f"cookie={cookie}, {where}{match} actions={self.actions[cookie, table, match]}"

    def change(self, line: str) -> None:
        if line.startswith("flow delete in_port="):
            self.actions = {
                key: text for key, text in self.actions.items() if line[len("flow delete ") :] not in key[2]
            }
            return
        found = LINE.fullmatch(line)
        assert found, line
        command, cookie, whole, table, match, _, actions = found.groups()
        key = cookie, int(table or 0), match
        if command == "delete_strict":
            assert whole and table and actions is None, "without a table, the switch would delete it in all tables"
            self.actions.pop(key, None)
        elif any(other[1:] == key[1:] and other != key for other in self.actions):
            raise ItemError("ovs-ofctl failed (1): the flow of another cookie would be replaced")
        else:
            assert whole is None
            self.actions[key] = actions


class FlowHost(FakeHost):
    """A host of a kind whose items are flows."""

    switch: ClassVar[Any]

    def install(self) -> None:
        self.set_default("directory", self.root / "flows")
        self.set_default("unit_directory", self.root / "system")
        self.monkeypatch.setattr(ovs_port_security, "OLD_DIRECTORY", str(self.root / "port-security"))
        (self.root / "system" / "ovs-vswitchd.service.wants").mkdir(parents=True, exist_ok=True)
        self.switch = FakeFlows()
        self.programs["ovs-ofctl"] = self.switch
        self.share("ovs-vsctl", self._wait, "wait-until")
        self.share("systemctl", self._enable, UNIT_NAME)

    def _wait(self, argv: list[str]) -> str:
        assert argv[2:5] == ["--", "wait-until", "Interface"] and argv[6] == "ofport>0"
        return ""

    def _enable(self, argv: list[str]) -> str:
        if argv[1] != "daemon-reload":
            assert argv[1] == "enable"
            (self.root / "system" / "ovs-vswitchd.service.wants" / argv[2]).touch()
        return ""

    def add_others(self) -> None:
        self.switch.actions["0x1", 0, "priority=0"] = "drop"

    def state(self) -> Any:
        return self.files(), dict(self.switch.actions), set(self.switch.old)
