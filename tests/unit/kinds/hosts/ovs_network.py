"""A switch and its devices."""

import shutil
from collections.abc import Callable
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils import netns, taps
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_network
from plugins.fake_ovs import FakeOvs

from kinds.fake_host import FakeHost


class Host(FakeHost):
    kind = ovs_network.OvsNetwork
    change = {"mtu": 1300}
    bad = [
        ({"segmentation_id": None}, "segmentation_id"),
        ({"type": "vlan", "physical_network": "nowhere"}, "no physical network 'nowhere'"),
        ({"peers": ["not an address"]}, "not an address"),
        ({"ports": [{"id": "; reboot"}]}, "UUID"),
    ]

    def install(self) -> None:
        self.devices = self.root / "devices"
        self.devices.mkdir(exist_ok=True)
        self.monkeypatch.setattr(taps, "DEVICES", str(self.devices))
        self.ovs = FakeOvs(["br-int", "br-phy"])
        self.ovs.has_device = lambda port: (self.devices / port).exists()
        self.lost: set[str] = set()  # the namespaces that have no name any more
        self.monkeypatch.setattr(netns, "has_device", lambda namespace, _: namespace not in self.lost)
        self.without_offloads: set[str] = set()
        self.lose_inner: Callable[[str], None] = lambda _name: None  # of a router's namespace
        self.programs |= {"ip": self._ip, "ovs-vsctl": self.ovs, "ethtool": self._ethtool}

    def _ip(self, _argv: list[str], stdin: str) -> None:
        missing = False
        for line in stdin.splitlines():
            words = line.split()
            device = self.devices / words[words.index("dev") + 1]
            if line.startswith("tuntap add"):
                device.mkdir()
            elif line.startswith("link add"):
                device.mkdir()
                (device / "mtu").write_text(words[words.index("mtu") + 1])
                (self.devices / words[-1]).mkdir()
            elif line.startswith("link delete"):
                missing |= not device.exists()
                shutil.rmtree(device, ignore_errors=True)
                self._delete_inner(device.name.replace("tap", "rt"))
            elif "alias" in words:
                (device / "ifalias").write_text(words[words.index("alias") + 1])
            else:
                (device / "mtu").write_text(words[words.index("mtu") + 1])
        if missing:
            raise ItemError("ip failed (1): Cannot find device")

    def _delete_inner(self, name: str) -> None:
        """Delete the other end of a veth pair, if it is one."""
        if (self.devices / name).exists():
            (self.devices / name).rmdir()
        self.lose_inner(name)
        self.without_offloads -= {name, name.replace("rt", "tap")}

    def lose_outer(self, inner: str) -> None:
        """Lose the end of a veth pair whose other end was deleted."""
        device = self.devices / inner.replace("rt", "tap")
        if device.exists():
            shutil.rmtree(device)
        self._delete_inner(inner)

    def _ethtool(self, argv: list[str]) -> str:
        assert argv[1] == "-K" and argv[3:] == ["tx", "off"] and (self.devices / argv[2]).exists()
        self.without_offloads.add(argv[2])
        return ""

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        item = {
            "id": identifier,
            "segmentation_id": 1000 + int(identifier[7], 16),
            "peers": ["172.20.1.12"],
            "ports": [
                {"id": f"1{identifier[1:]}", "mac": "fa:16:3e:00:00:01"},
                {"id": f"2{identifier[1:]}", "mac": "fa:16:3e:00:00:03", "device": "veth"},
            ],
            "dhcp": {"mac": "fa:16:3e:00:00:02", "subnets": []},
        }
        return {**item, **changes}

    def add_others(self) -> None:
        self.ovs(["ovs-vsctl", "--", "add-port", "br-int", "somebodys"])
        device = self.devices / "tapffffffff-00"
        device.mkdir()
        (device / "ifalias").write_text("somebody's")

    def state(self) -> Any:
        return self.files(), self.ovs.bridges, self.ovs.ports, set(self.without_offloads)
