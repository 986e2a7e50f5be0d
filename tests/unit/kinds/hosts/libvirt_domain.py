"""libvirt's own test driver, whose domains live as long as its connection."""

import itertools
from typing import Any

import libvirt
from ansible_collections.skywright.cloud.plugins.module_utils import hypervisor
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import libvirt_domain

from kinds.fake_host import FakeHost

PORT = {"id": "1a0b0c0d-0000-4000-8000-000000000003", "mac": "FA:16:3e:00:00:01", "mtu": 1400}
OTHERS = "<domain type='test'><name>others</name><memory>65536</memory><os><type>hvm</type></os></domain>"


def item(identifier: str, **changes: Any) -> dict[str, Any]:
    """A server that runs, with one interface; its MAC address is not in libvirt's form."""
    server = {
        "id": identifier,
        "name": 'web <1> & "co"',
        "memory_mib": 64,
        "boot_id": "2a0b0c0d-0000-4000-8000-000000000001",
        "ports": [PORT],
        "config_drive": {"meta_data": {}},
    }
    return {**server, **changes}


class Clock:
    """Waits end at once."""

    def __init__(self) -> None:
        self.ticks = itertools.count()

    def monotonic(self) -> int:
        return next(self.ticks)

    def sleep(self, _seconds: float) -> None:
        pass


class Host(FakeHost):
    """It is a node of its own: all connections to test:///default share their domains."""

    kind = libvirt_domain.LibvirtDomain
    change = {"memory_mib": 65, "boot_id": "2a0b0c0d-0000-4000-8000-000000000002"}
    bad = [
        ({"ports": [{**PORT, "mac": "x"}]}, "MAC"),
        ({"ports": [{**PORT, "id": "x"}]}, "UUID"),
        ({"vcpus": 0}, "cannot define"),
    ]

    def install(self) -> None:
        node = self.root.with_name(f"{self.root.name}.xml")
        node.write_text("<node/>")
        self.connection = libvirt.open(f"test://{node}")
        self.monkeypatch.setattr(libvirt, "open", lambda uri: self.connection)
        self.monkeypatch.setattr(hypervisor, "time", Clock())
        self.set_default("uri", "test:///default")
        self.set_default("directory", self.root / "servers")

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return item(identifier, **changes)

    def add_others(self) -> None:
        self.connection.defineXML(OTHERS)

    def state(self) -> Any:
        domains = sorted(self.connection.listAllDomains(), key=lambda domain: domain.name())
        return self.files(), [
            (self.anywhere(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)), domain.state(), domain.isPersistent())
            for domain in domains
        ]
