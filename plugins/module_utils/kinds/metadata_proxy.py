# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metadata proxies of tenant networks: one HAProxy that listens in the namespaces of a host's DHCP servers."""

from __future__ import annotations

import os
import time

from ansible_collections.skywright.cloud.plugins.module_utils import check, metadata_proxies
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import (
    ids_in,
    read_text,
    remove,
    remove_written,
    write_text,
)
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.metadata_proxies import ADDRESS, BASE, PORT, UNIT_NAME
from ansible_collections.skywright.cloud.plugins.module_utils.netns import accepts
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option

LISTEN_SECONDS = 10
# A network's file, and the mark of one that HAProxy may not have read.
FILE, UNTOLD = ".cfg", ".untold"


class MetadataProxy(Kind):
    """The metadata proxies of one host."""

    name, items, label = "metadata_proxy", "networks", "network"
    item = NETWORKS
    after = ("dhcp_network",)
    options = {
        "directory": option("The directory of HAProxy's files.", "path", default="/var/lib/skywright/metadata"),
        "unit_directory": option("The directory of the unit file.", "path", default="/etc/systemd/system"),
    }
    exclusive = "metadata"

    def __init__(self, **options):
        super().__init__(**options)
        directory = self.settings["directory"]
        self.networks = os.path.join(directory, "networks")
        self.unit_file = os.path.join(self.settings["unit_directory"], UNIT_NAME)
        # {path: text} of the files that all proxies share.
        self.shared = {
            os.path.join(directory, "haproxy.cfg"): BASE,
            self.unit_file: metadata_proxies.unit(directory),
        }

    def concerns(self, item):
        """Return whether this host may have to change the network's metadata proxy."""
        return item["dhcp"] is not None or item["state"] == "absent"

    def status(self, want):
        """A metadata proxy that is present is running."""
        return "running"

    def path(self, network_id, suffix=FILE):
        """Return the path of a network's file."""
        return os.path.join(self.networks, network_id + suffix)

    def read(self, networks):
        """Read the files of the listed networks, the state of the unit, and whether their proxies listen."""
        marked = set(self._marked())
        there = [item["id"] for item in networks if item["id"] in marked]
        if not there:
            return {}
        shared = all(read_text(path) == text for path, text in self.shared.items())
        state = self.runner.read(["systemctl", "show", "--property=UnitFileState", UNIT_NAME]).strip()
        return {network_id: self._read(network_id, shared, state.endswith("=enabled")) for network_id in there}

    def _read(self, network_id, shared, enabled):
        text = read_text(self.path(network_id))
        return {
            "shared": shared,
            "configuration": text and metadata_proxies.concealed(text),
            "told": not os.path.exists(self.path(network_id, UNTOLD)),
            "enabled": enabled,
            "listening": accepts("qdhcp-" + network_id, ADDRESS, PORT),
        }

    def _marked(self):
        return {one for suffix in (FILE, UNTOLD) for one in ids_in(self.networks, suffix)}

    def marks(self):
        """List the networks with a metadata proxy."""
        return [{"id": one} for one in sorted(self._marked())]

    def want(self, item, have):
        """Return the wanted proxy: none without a DHCP server."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        if item["dhcp"] is None:
            return have
        if item["dhcp"]["state"] == "absent" or item["dhcp"]["metadata"] is None:
            return None
        configuration = metadata_proxies.concealed(metadata_proxies.network_file(item))
        return {"shared": True, "configuration": configuration, "told": True, "enabled": True, "listening": True}

    def apply(self, steps, done):
        """Write all files, then let HAProxy read them once."""
        # If this run is interrupted, the next one sees that HAProxy has not read the files.
        try:
            os.makedirs(self.networks, mode=0o700, exist_ok=True)
            for step in steps:
                with open(self.path(step.id, UNTOLD), "w", encoding="utf-8"):
                    pass
            if any(step.want for step in steps):
                self._write_shared(reread=any(step.have and not step.have["told"] for step in steps))
            for step in steps:
                self._write(step)
            self._tell(steps)
            failed = self._silent([step.id for step in steps if step.want])
            for step in steps:
                if step.id not in failed:
                    remove(self.path(step.id, UNTOLD))
        except (ItemError, OSError) as error:
            return {step.id: str(error) for step in steps}
        return dict.fromkeys(failed, f"HAProxy does not listen on {ADDRESS} in the network's namespace")

    def _write_shared(self, reread):
        """Write what differs; systemd reads its unit again if that changed, or if it may have changed (C(reread))."""
        differing = [path for path, text in self.shared.items() if read_text(path) != text]
        for path in differing:
            write_text(path, self.shared[path])
        if self.unit_file in differing or reread:
            self.runner.write(["systemctl", "daemon-reload"])

    def _write(self, step):
        path = self.path(step.id)
        if not step.want:
            remove_written(path)
        elif step.changes("configuration"):
            write_text(path, metadata_proxies.network_file(step.item), mode=0o600)

    def _tell(self, steps):
        """Reload HAProxy, or restart it if a reload is not enough; without a network, stop it."""
        if not ids_in(self.networks, FILE):
            if os.path.exists(self.unit_file):
                self.runner.write(["systemctl", "disable", "--now", UNIT_NAME])
            return
        if any(step.changes("enabled") for step in steps if step.want):
            self.runner.write(["systemctl", "enable", UNIT_NAME])
        # A reload keeps the sockets, also those in a namespace that has lost its name.
        known = [step for step in steps if step.want and step.have and not step.changes("configuration")]
        restart = any(step.changes(key) for step in known for key in ("shared", "listening"))
        self.runner.write(["systemctl", "restart" if restart else "reload-or-restart", UNIT_NAME])

    @staticmethod
    def _silent(networks):
        """Wait for the proxies of networks to listen, and return those that do not."""
        limit = time.monotonic() + LISTEN_SECONDS
        while True:
            networks = [one for one in networks if not accepts("qdhcp-" + one, ADDRESS, PORT)]
            if not networks or time.monotonic() > limit:
                return networks
            time.sleep(0.05)
