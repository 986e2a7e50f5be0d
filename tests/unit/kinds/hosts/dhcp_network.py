"""systemd, and the files of DHCP servers."""

from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import dhcp_network

from kinds.fake_host import FIRST, FakeHost

METADATA = {"api_url": "http://10.1.0.1:8000/compute/metadata", "signature": "5e" * 32}
SUBNET = {
    "id": "3a0b0c0d-0000-4000-8000-000000000001",
    "cidr": "10.0.0.0/24",
    "address": "10.0.0.2",
    "gateway_ip": "10.0.0.1",
}
ENTRY = {
    "id": "1a0b0c0d-0000-4000-8000-000000000003",
    "mac": "fa:16:3e:00:00:01",
    "hostname": "web",
    "addresses": ["10.0.0.5"],
    "names": [{"address": "10.0.0.5", "names": ["web.example.org", "web"]}],
    "options": [{"name": "bootfile-name", "value": "pxelinux.0"}],
}


def dhcp(**changes: Any) -> dict[str, Any]:
    """A network's `dhcp`, with one port."""
    return {"mac": "fa:16:3e:00:00:fe", "metadata": METADATA, "subnets": [SUBNET], "hosts": [ENTRY], **changes}


class Systemd:
    """Knows which units run; a running one has its veth pair."""

    def __init__(self, devices: Any) -> None:
        self.devices = devices
        self.units: dict[str, dict[str, bool]] = {}

    def __call__(self, argv: list[str]) -> str:
        if argv[1] == "show":
            return "\n".join(self._show(unit) for unit in argv[3:])
        for unit in [word for word in argv[2:] if word[0] != "-"]:
            state = self.units.setdefault(unit, {"active": False, "enabled": False})
            if argv[1] == "enable":
                state["enabled"] = True
            elif argv[1] == "restart":
                state["active"] = True
                self.device(unit).touch()
            elif argv[1] == "disable":
                self.units.pop(unit)
                self.device(unit).unlink(missing_ok=True)
        return ""

    def device(self, unit: str) -> Any:
        return self.devices / ("ns" + unit.split("@")[1][:11])

    def _show(self, unit: str) -> str:
        state = self.units.get(unit, {})
        active = "active" if state.get("active") else "inactive"
        return f"Id={unit}\nActiveState={active}\nUnitFileState={'enabled' if state.get('enabled') else ''}\n"


class Host(FakeHost):
    kind = dhcp_network.DhcpNetwork
    change = {"mtu": 1300}
    bad = [
        ({"dhcp": dhcp(hosts=[{**ENTRY, "hostname": "x\ndhcp-script=/bin/sh"}])}, "name"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "id": "../../x"}])}, "UUID"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "addresses": ["nowhere"]}])}, "address"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "names": [{"address": "10.0.0.5", "names": ["a b"]}]}])}, "DNS name"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "names": [{"address": "x", "names": ["a"]}]}])}, "address"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "options": [{"name": "67,x", "value": "x"}]}])}, "name of a DHCP option"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "options": [{"name": "67", "value": "x\ny"}]}])}, "value of a DHCP option"),
        ({"dhcp": dhcp(hosts=[{**ENTRY, "options": [{"name": "67", "value": "x # y"}]}])}, "value of a DHCP option"),
        ({"dhcp": dhcp(subnets=[{**SUBNET, "address": "192.168.0.1"}])}, "192.168.0.1 is not in 10.0.0.0/24"),
        ({"dhcp": dhcp(mac="x")}, "MAC"),
        ({"dhcp": dhcp(dns_domain="a\nb")}, "name"),
    ]

    def install(self) -> None:
        self.directory, devices = self.root / "dhcp", self.root / "devices"
        devices.mkdir(exist_ok=True)
        self.set_default("directory", self.directory)
        self.set_default("unit_directory", self.root)
        self.monkeypatch.setattr(dhcp_network, "has_device", lambda _, device: (devices / device).exists())
        self.released: list[Any] = []
        self.monkeypatch.setattr(dhcp_network, "release", lambda *args: self.released.append(args))
        self.systemd = Systemd(devices)
        self.programs["dnsmasq"] = lambda argv: ""
        self.share("systemctl", self.systemd, "skywright-dhcp")

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "dhcp": dhcp(), **changes}

    def add_others(self) -> None:
        (self.directory / "lost+found").mkdir(parents=True)
        (self.directory / "lost+found" / "hosts").touch()

    def text(self, name: str, network_id: str = FIRST) -> str:
        """What a file of a network says."""
        return (self.directory / network_id / name).read_text()

    def state(self) -> Any:
        return self.files(), self.systemd.units
