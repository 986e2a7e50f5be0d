"""A switch's flows, and the host of a kind whose items are flows."""

import re
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security

from kinds.fake_host import FakeHost

LINE = re.compile(r"flow (add|delete_strict) cookie=(\w+)(/-1)?, (?:table=(\d+), )?(.+?)( actions=(.*))?")


METER = re.compile(r"meter=(\d+),(kbps|pktps),burst,bands=type=drop,rate=([1-9]\d*),burst_size=([1-9]\d*)")


class FakeFlows:
    """The flows of the bridge br-sec, {(cookie, table, priority and match): actions}, its meters {number: text}, and
    the cookies of br-int.
    """

    def __init__(self) -> None:
        self.actions: dict[tuple[str, int, str], str] = {}
        self.meters: dict[int, str] = {}
        self.old: set[str] = set()
        self.dumps = 0

    def __call__(self, argv: list[str], stdin: str = "") -> str:
        if argv[1] == "-O":
            assert argv[2] == "OpenFlow13"
            return self._meter(argv[3:]) if "meter" in argv[3] else self([argv[0], *argv[3:]], stdin)
        if argv[1] == "bundle":
            assert argv[2:] == ["br-sec", "-"]
            changed = FakeFlows()
            changed.actions, changed.meters = dict(self.actions), self.meters
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

    def _meter(self, argv: list[str]) -> str:
        command, bridge, *words = argv
        assert bridge == "br-sec"
        if command == "dump-meters":
            found = [METER.fullmatch(text) for text in self.meters.values()]
            lines = [
                f"meter={one[1]} {one[2]} burst bands=\ntype=drop rate={one[3]} burst_size={one[4]}\n"
                for one in found
                if one
            ]
            return "OFPST_METER_CONFIG reply (OF1.3) (xid=0x2):\n" + "\n".join(lines)
        number = int(words[0].partition(",")[0][len("meter=") :])
        if (command == "add-meter") == (number in self.meters):
            raise ItemError(f"ovs-ofctl failed (1): {command} meter={number}")
        if command == "del-meters":
            del self.meters[number]
            used = re.compile(rf"meter:{number}\b")
            self.actions = {key: text for key, text in self.actions.items() if not used.search(text)}
        else:
            assert METER.fullmatch(words[0]), words
            self.meters[number] = words[0]
        return ""

    def text(self, cookie: str, table: int, match: str) -> str:
        """A flow as the switch prints it."""
        where = f"table={table}, " if table else ""
        return f"cookie={cookie}, {where}{match} actions={self.actions[cookie, table, match]}"

    def change(self, line: str) -> None:
        deleted = re.fullmatch(r"flow delete cookie=(\w+)/0xffffff0000000000,(in_port=.+)", line)
        if deleted:
            prefix = deleted[1][: len("0x123456")]
            kept = (key for key in self.actions if not (key[0].startswith(prefix) and deleted[2] in key[2]))
            self.actions = {key: self.actions[key] for key in kept}
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
            if any(int(number) not in self.meters for number in re.findall(r"meter:(\d+)", actions)):
                raise ItemError("ovs-ofctl failed (1): OFPMMFC_UNKNOWN_METER")
            self.actions[key] = actions


class FlowHost(FakeHost):
    """A host of a kind whose items are flows."""

    switch: ClassVar[Any]

    def install(self) -> None:
        self.set_default("directory", self.root / Path(self.kind.options["directory"]["default"]).name)
        self.set_default("unit_directory", self.root / "system")
        self.monkeypatch.setattr(ovs_port_security, "OLD_DIRECTORY", str(self.root / "port-security"))
        (self.root / "system" / "ovs-vswitchd.service.wants").mkdir(parents=True, exist_ok=True)
        self.switch = self.programs.setdefault("ovs-ofctl", FakeFlows())
        self.share("ovs-vsctl", self._wait, "wait-until")
        self.share("systemctl", self._enable, self.kind.unit_name)

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
        return self.files(), dict(self.switch.actions), dict(self.switch.meters), set(self.switch.old)
