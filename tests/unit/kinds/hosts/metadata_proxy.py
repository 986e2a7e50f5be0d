"""systemd, HAProxy, and the files of metadata proxies."""

import re
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import metadata_proxy

from kinds.fake_host import FIRST, FakeHost
from kinds.hosts.dhcp_network import METADATA, dhcp


class Haproxy:
    """The only unit: it listens for the networks in the files that it read last."""

    def __init__(self, networks: Any) -> None:
        self.networks = networks
        self.enabled = False
        self.listening: set[str] = set()

    def __call__(self, argv: list[str]) -> str:
        match argv[1]:
            case "show":
                return f"UnitFileState={'enabled' if self.enabled else ''}\n"
            case "enable":
                self.enabled = True
            case "disable":
                self.enabled, self.listening = False, set()
            case "restart" | "reload-or-restart":
                texts = [path.read_text() for path in self.networks.glob("*.cfg")]
                self.listening = {name for text in texts for name in re.findall("namespace (.*)", text)}
        return ""


class Host(FakeHost):
    kind = metadata_proxy.MetadataProxy
    change = {"dhcp": dhcp(metadata=METADATA | {"signature": "a1" * 32})}
    bad = [
        ({"dhcp": dhcp(metadata=METADATA | {"signature": "x\n"})}, "signature"),
        ({"dhcp": dhcp(metadata=METADATA | {"api_url": "http://10.1.0.1:8000\n/x"})}, "URL"),
        ({"dhcp": dhcp(metadata=METADATA | {"api_url": "http://10.1.0.1:80000/x"})}, "URL"),
        ({"dhcp": dhcp(metadata=METADATA | {"api_url": "file:///etc/passwd"})}, "URL"),
        ({"dhcp": dhcp(metadata=METADATA | {"api_url": "http://10.1.0.1/x%[src] y"})}, "URL"),
    ]

    def install(self) -> None:
        self.directory = self.root / "metadata"
        self.set_default("directory", self.directory)
        self.set_default("unit_directory", self.root)
        self.haproxy = Haproxy(self.directory / "networks")
        self.monkeypatch.setattr(metadata_proxy, "accepts", lambda name, *_: name in self.haproxy.listening)
        self.monkeypatch.setattr(metadata_proxy, "LISTEN_SECONDS", 0)
        self.share("systemctl", self.haproxy, "skywright-metadata")

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "dhcp": dhcp(), **changes}

    def add_others(self) -> None:
        (self.directory / "networks").mkdir(parents=True)
        (self.directory / "networks" / "other.cfg").touch()

    def text(self, network_id: str = FIRST) -> str:
        """The configuration of a network."""
        return (self.directory / "networks" / f"{network_id}.cfg").read_text()

    def state(self) -> Any:
        return self.files(), self.haproxy.enabled, self.haproxy.listening
