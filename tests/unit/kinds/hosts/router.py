"""Namespaces with devices, routes and a packet filter."""

import json
import re
import shutil
import threading
from collections.abc import Callable
from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils import netns, router_kernel
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import router
from ansible_collections.skywright.cloud.plugins.module_utils.router_rules import marks

from kinds.fake_host import FakeHost

FLOATING = {
    "id": "4a0b0c0d-0000-4000-8000-000000000001",
    "floating_ip_address": "203.0.113.20",
    "fixed_ip_address": "10.0.0.5",
}
FORWARDING = {
    "id": "5a0b0c0d-0000-4000-8000-000000000001",
    "floating_ip_address": "203.0.113.30",
    "protocol": "tcp",
    "external_port_min": 8000,
    "external_port_max": 8002,
    "internal_ip_address": "10.0.0.6",
    "internal_port_min": 80,
    "internal_port_max": 82,
}
INSIDE = {
    "port_id": "1a0b0c0d-0000-4000-8000-000000000001",
    "mac": "fa:16:3e:00:00:01",
    "addresses": ["10.0.0.1/24", "fd00::1/64"],
}
OUTSIDE = {
    "port_id": "1a0b0c0e-0000-4000-8000-000000000002",
    "mac": "FA:16:3e:00:00:02",
    "addresses": ["203.0.113.10/24"],
    "external": True,
}


class Namespace:
    """What the kernel has of a namespace, with one connection of each translation that was ever loaded."""

    def __init__(self) -> None:
        self.links: dict[str, dict[str, Any]] = {}
        self.routes: set[str] = set()
        self.rules: list[str] = []
        self.connections: set[str] = set()
        self.lose_outer: Callable[[str], None] = lambda _inner: None  # of a device that was deleted

    def lose(self, device: str) -> None:
        """Lose a device, which may be gone already, with its routes."""
        self.links.pop(device, None)
        self.routes = {route for route in self.routes if device not in route.split()}

    def state(self) -> Any:
        links = {name: {**link, "addresses": sorted(link["addresses"])} for name, link in self.links.items()}
        return links, set(self.routes), list(self.rules), set(self.connections)

    def load(self, text: str) -> None:
        lines = text.splitlines()
        assert lines[0] == "flush ruleset"
        self.rules = lines[1:]
        self.connections |= marks(self.rules)

    def listed(self) -> str:
        return "".join(f"\n\t{line}\n" for line in self.rules)

    def change(self, line: str) -> None:
        """Do what a line of `ip -batch` says."""
        found = re.fullmatch(r"(address|route|link) (add|delete|set) (.*)", line)
        assert found, line
        getattr(self, f"_{found[1]}")(found[2], found[3])

    def _address(self, command: str, text: str) -> None:
        address, device = re.fullmatch(r"(\S+) dev (\S+?)(?: nodad)?", text).groups()  # type: ignore[union-attr]
        addresses = self.links[device]["addresses"]
        assert (address in addresses) == (command == "delete"), text
        (addresses.remove if command == "delete" else addresses.append)(address)

    def _route(self, command: str, text: str) -> None:
        assert (text in self.routes) == (command == "delete"), text
        (self.routes.remove if command == "delete" else self.routes.add)(text)

    def _link(self, command: str, text: str) -> None:
        words = text.split()
        if words[1] == "lo":
            return
        if command == "delete":
            self.lose(words[1])
            self.lose_outer(words[1])
            return
        link = self.links[words[1]]
        link["up"] = link["up"] or words[-1] == "up"
        for name in {"address", "mtu"} & set(words):
            link[name] = words[words.index(name) + 1]

    def shown(self) -> str:
        """What `ip -json -batch` prints."""
        links = [{"ifname": "lo", "address": "00:00:00:00:00:00", "mtu": 65536, "flags": [], "addr_info": []}]
        links += [self._shown(name, link) for name, link in self.links.items()]
        return json.dumps(links) + "\n" + json.dumps([_route(route) for route in sorted(self.routes)]) + "\n"

    @staticmethod
    def _shown(name: str, link: dict[str, Any]) -> dict[str, Any]:
        parts = [address.split("/") for address in link["addresses"]]
        return {
            "ifname": name,
            "address": link["address"],
            "mtu": int(link["mtu"]),
            "flags": ["UP"] if link["up"] else [],
            "addr_info": [{"local": local, "prefixlen": int(length)} for local, length in parts],
        }


def _route(text: str) -> dict[str, Any]:
    destination, *words = text.split()
    found: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=False))
    version6 = {"pref": "medium"} if ":" in destination else {}
    return {
        "dst": "default" if destination.endswith("/0") else destination,
        "gateway": found["via"],
        "dev": found["dev"],
        "protocol": found["proto"],
        "metric": int(found["metric"]),
        "flags": ["onlink", "linkdown"] if words[-1] == "onlink" else [],
        **version6,
    }


class Host(FakeHost):
    """The networks have made the devices of all ports."""

    kind = router.Router
    change = {
        "floating_ips": [{**FLOATING, "fixed_ip_address": "10.0.0.7"}],
        "port_forwardings": [],
        "routes": [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9"}],
        "gateways": ["203.0.113.2"],
    }
    bad = [
        ({"interfaces": [{**OUTSIDE, "port_id": "../../x"}]}, "UUID"),
        ({"interfaces": [{**OUTSIDE, "mac": "x"}]}, "MAC"),
        ({"interfaces": [OUTSIDE, {**INSIDE, "addresses": ["10.0.0.1 dev lo"]}]}, "10.0.0.1 dev lo"),
        ({"interfaces": [INSIDE]}, "without an external interface has no floating IPs"),
        ({"interfaces": [INSIDE, OUTSIDE, {**OUTSIDE, "port_id": INSIDE["port_id"]}]}, "at most one external"),
        ({"interfaces": [INSIDE], "floating_ips": [], "port_forwardings": []}, "has no gateway"),
        ({"routes": [{"destination": "10.1.0.0/16", "nexthop": "10.7.0.9"}]}, "is in no network of the router"),
        ({"routes": [{"destination": "10.1.0.0/16", "nexthop": "fd00::9"}]}, "different IP versions"),
        ({"snat_address": "fd00::1"}, "not an IPv4 address"),
        ({"port_forwardings": [{**FORWARDING, "internal_port_max": 81}]}, "different lengths"),
        ({"port_forwardings": [{**FORWARDING, "external_port_min": 8003}]}, "not a range"),
    ]

    def install(self) -> None:
        self.namespaces: dict[str, Namespace] = {}
        self.lose_outer: Callable[[str], None] = lambda _inner: None
        self.turn = threading.Lock()  # one thread is in a namespace at a time
        self.directory = self.root / "netns"
        self.directory.mkdir(exist_ok=True)
        self.monkeypatch.setattr(netns, "DIRECTORY", str(self.directory))
        self.monkeypatch.setattr(netns, "exists", lambda name: name in self.namespaces)
        self.monkeypatch.setattr(netns, "inside", self._inside)
        self.announced: list[Any] = []
        self.monkeypatch.setattr(router_kernel, "announce", self.announced.extend)
        self.monkeypatch.setattr(router_kernel, "cut", self._cut)
        self.share("ip", self._ip, router.PREFIX)
        self.programs["nsenter"] = self._nsenter

    def _inside(self, name: str, work: Callable[[], Any]) -> Any:
        with self.turn:
            self.entered = self.namespaces[name]
            self.monkeypatch.setattr(router_kernel, "PARAMETERS", str(self.root / "parameters" / name))
            return work()

    def _cut(self, mark: str) -> None:
        self.entered.connections.discard(mark)

    def _ip(self, argv: list[str], stdin: str = "") -> str:
        if argv[1] == "netns":
            getattr(self, f"_{argv[2]}")(argv[3])
        elif "-json" in argv:
            return self.namespaces[argv[2]].shown()
        elif "-netns" in argv:
            for line in stdin.splitlines():
                self.namespaces[argv[2]].change(line)
        else:
            for line in stdin.splitlines():
                device, name = re.fullmatch(r"link set dev (\S+) netns (\S+)", line).groups()  # type: ignore[union-attr]
                self.namespaces[name].links[device] = {"address": "", "mtu": "1500", "up": False, "addresses": []}
        return ""

    def _add(self, name: str) -> None:
        path = self.directory / name
        if path.exists():
            raise ItemError(f"ip failed (1): {name}: File exists")
        path.touch()
        self.namespaces[name] = Namespace()
        self.namespaces[name].lose_outer = self.lose_outer
        for parameter in router_kernel.WANTED_PARAMETERS:
            file = self.root / "parameters" / name / parameter
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("0\n")

    def _delete(self, name: str) -> None:
        (self.directory / name).unlink()
        for device in self.namespaces.pop(name, Namespace()).links:
            self.lose_outer(device)
        shutil.rmtree(self.root / "parameters" / name, ignore_errors=True)

    def _nsenter(self, argv: list[str], stdin: str = "") -> str:
        one = self.namespaces[argv[1].rpartition("/")[2]]
        if argv[2:] == ["nft", "-f", "-"]:
            one.load(stdin)
            return ""
        assert argv[2:] == ["nft", "list", "ruleset"]
        return one.listed()

    def lose_inner(self, device: str) -> None:
        """Lose a device whose other end was deleted."""
        for namespace in self.namespaces.values():
            namespace.lose(device)

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        ports = [{**one, "port_id": f"{one['port_id'][:7]}{identifier[7:]}"} for one in (INSIDE, OUTSIDE)]
        item = {
            "id": identifier,
            "interfaces": ports,
            "gateways": ["203.0.113.1"],
            "snat_address": "203.0.113.10",
            "floating_ips": [FLOATING],
            "port_forwardings": [FORWARDING],
        }
        return {**item, **changes}

    def add_others(self) -> None:
        for name in ("router-mine", "qdhcp-0a0b0c0d-0000-4000-8000-000000000001"):
            (self.directory / name).touch()

    def state(self) -> Any:
        files = {name: text for name, text in self.files().items() if text is not None}
        return files, {name: one.state() for name, one in self.namespaces.items()}
