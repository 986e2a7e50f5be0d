# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Routers: network namespaces with interfaces on the integration bridge, routes and translation of addresses."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

from ansible_collections.skywright.cloud.plugins.module_utils import check, netns, router_kernel
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import UUID
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.router_links import (
    READ,
    changes,
    device_name,
    external_device,
    parse,
    wanted_interfaces,
    wanted_routes,
)
from ansible_collections.skywright.cloud.plugins.module_utils.router_rules import marks, rules
from ansible_collections.skywright.cloud.plugins.module_utils.router_spec import ROUTERS

PREFIX = "router-"
NOTHING = {"parameters": {}, "interfaces": {}, "routes": [], "rules": []}
THREADS = 4


def namespace(router_id):
    """Return the name of a router's namespace."""
    return PREFIX + router_id


class Router(Kind):
    """The routers of one host: {"parameters": {path: value}, "interfaces": {}, "routes": [text], "rules": [line]}.

    All of a router is in the kernel; an existing file that is no namespace is a router without anything.
    """

    name, items, label = "router", "routers", "router"
    item = ROUTERS
    after = removed_after = ("ovs_network",)

    def needs(self, item):
        """The ports of a router are the interfaces that its networks provide."""
        return [item["id"], *(interface["port_id"] for interface in item["interfaces"])]

    def read(self, routers):
        """Read the routers that exist, several at a time."""
        there = [item["id"] for item in routers if os.path.exists(self._path(item["id"]))]
        if len(there) < 2:
            return {router_id: self._read(router_id) for router_id in there}
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (slow, and few need it)

        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            return dict(zip(there, pool.map(self._read, there)))

    @staticmethod
    def _path(router_id):
        return os.path.join(netns.DIRECTORY, namespace(router_id))

    def _read(self, router_id):
        name = namespace(router_id)
        if not netns.exists(name):
            return NOTHING
        interfaces, routes = parse(self.runner.read(["ip", "-netns", name, "-json", "-batch", "-"], stdin=READ))
        lines = self.runner.read([*_inside(name), "nft", "list", "ruleset"]).splitlines()
        # A real run would have removed the ports of these interfaces before.
        gone = {device_name(port_id) for port_id in self.gone}
        return {
            "parameters": netns.inside(name, router_kernel.read_parameters),
            "interfaces": {device: found for device, found in interfaces.items() if device not in gone},
            "routes": [route for route in routes if not gone.intersection(route.split())],
            "rules": [line.strip() for line in lines if line.strip()],
        }

    def marks(self):
        """List the routers on the host."""
        names = sorted(os.listdir(netns.DIRECTORY)) if os.path.isdir(netns.DIRECTORY) else []
        ids = [name[len(PREFIX) :] for name in names if name.startswith(PREFIX)]
        return [{"id": router_id} for router_id in ids if UUID.fullmatch(router_id)]

    def want(self, item, have):
        """Return the wanted router."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        return {
            "parameters": router_kernel.WANTED_PARAMETERS,
            "interfaces": wanted_interfaces(item),
            "routes": wanted_routes(item),
            "rules": rules(item, external_device(item)),
        }

    def apply(self, steps, done):
        """Converge routers, several at a time."""
        return each({"create": self._write, "update": self._write, "delete": self._delete}, threads=THREADS)(
            steps, done
        )

    def _write(self, step):
        """Change what differs. The packet filter comes before the interfaces, so that no packet leaves untranslated."""
        name, have = namespace(step.id), step.have or NOTHING
        if not netns.exists(name):
            if step.have:
                self.runner.write(["ip", "netns", "delete", name])
            self.runner.write(["ip", "netns", "add", name])
        if step.changes("parameters"):
            values = [f"net.{path.replace('/', '.')}={value}" for path, value in step.want["parameters"].items()]
            self._do(name, ["sysctl", "-w", *values], router_kernel.write_parameters, step.want["parameters"])
        if step.changes("rules"):
            self._filter(step, name, have)
        if step.changes("interfaces") or step.changes("routes"):
            self._connect(step.want, name, have)

    def _filter(self, step, name, have):
        """Replace the packet filter in one transaction, and cut the connections of translations that are gone.

        The first filter stops these connections. It stays if the run is interrupted, so the next one cuts them.
        """
        gone = sorted(marks(have["rules"]) - marks(step.want["rules"]))
        if gone:
            self._load(name, rules(step.item, external_device(step.item), cut=gone))
            for mark in gone:
                self._do(name, ["conntrack", "-D", "--mark", mark], router_kernel.cut, mark)
        self._load(name, step.want["rules"])

    def _load(self, name, lines):
        text = "".join(f"{line}\n" for line in ["flush ruleset", *lines])
        self.runner.write([*_inside(name), "nft", "-f", "-"], stdin=text)

    def _connect(self, want, name, have):
        """Move new interfaces into the namespace, then change addresses and routes."""
        new = [device for device in want["interfaces"] if device not in have["interfaces"]]
        if new:
            lines = [f"link set dev {device} netns {name}\n" for device in new]
            self.runner.write(["ip", "-force", "-batch", "-"], stdin="".join(lines))
        # If this run is interrupted after the announcement, the next one finds the addresses missing, and repeats it.
        # An interface that comes up announces its addresses itself.
        if addresses := list(_new_addresses(have["interfaces"], want["interfaces"])):
            words = [word for device, _mac, address in addresses for word in (device, address)]
            self._do(name, ["announce", *words], router_kernel.announce, addresses)
        lines = "".join(f"{line}\n" for line in changes(have, want))
        self.runner.write(["ip", "-netns", name, "-force", "-batch", "-"], stdin=lines)

    def _delete(self, step):
        """Remove the interfaces, with their other ends on the switch, and the namespace with what is left."""
        if step.have["interfaces"]:
            lines = "".join(f"link delete dev {device}\n" for device in step.have["interfaces"])
            with suppress(ItemError):  # the networks of the same run may remove them at the same time
                self.runner.write(["ip", "-netns", namespace(step.id), "-force", "-batch", "-"], stdin=lines)
        self.runner.write(["ip", "netns", "delete", namespace(step.id)])

    def _do(self, name, argv, function, argument):
        """Call a function in the namespace, and record it as the program that would do the same."""
        self.runner.commands.append([*_inside(name), *argv])
        netns.inside(name, partial(function, argument))


def _inside(name):
    return ["nsenter", f"--net={os.path.join(netns.DIRECTORY, name)}"]


def _new_addresses(have, want):
    """Yield (device, MAC address, address) of the IPv4 addresses that interfaces get which are up already."""
    for device, interface in want.items():
        if have.get(device, {}).get("up"):
            for address in sorted(set(interface["addresses"]) - set(have[device]["addresses"])):
                if ":" not in address:
                    yield device, interface["mac"], address.partition("/")[0]
