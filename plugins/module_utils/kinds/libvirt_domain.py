# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers as libvirt domains."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.domain_xml import Definition, summary
from ansible_collections.skywright.cloud.plugins.module_utils.files import remove
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import Gone, Hypervisor
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.server_disk import SERVERS
from ansible_collections.skywright.cloud.plugins.module_utils.local_facts import FACT_FILE, VIRT_TYPE, read_facts
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option

# So many domains converge at a time. libvirt starts domains of several clients in parallel.
THREADS = 8


class LibvirtDomain(Kind):
    """The domains of a hypervisor; a domain is {"definition", "persistent", "power", "boot_id"}.

    A running domain that was undefined lives on, but only until it ends.
    """

    name, items, label = "libvirt_domain", "servers", "server"
    item = SERVERS
    on_null_hosts = True
    after = ("ovs_network", "ovs_port_security", "ovs_qos", "server_disk")
    options = {
        "uri": option(
            "The libvirt URI. With V(test:///default), domains exist only while the module runs.",
            default="qemu:///system",
        ),
        "virt_type": option(
            "How the hypervisor runs guests; V(auto) takes the result of M(skywright.cloud.virt_probe) on the host.",
            choices=["auto", "kvm", "qemu"],
            default="auto",
        ),
        "directory": option("The directory of the servers' directories.", "path", default="/var/lib/skywright/servers"),
        "shutdown_seconds": option(
            "Seconds that a guest may take to shut down before its domain is destroyed.", "int", default=20
        ),
    }
    variables = {
        "uri": "hypervisor_libvirt_uri",
        "virt_type": "hypervisor_virt_type",
        "shutdown_seconds": "hypervisor_shutdown_seconds",
    }

    def __init__(self, **options):
        super().__init__(**options)
        self.hypervisor = Hypervisor(self.settings["uri"])
        self.directory = self.settings["directory"]
        self.shutdown_seconds = self.settings["shutdown_seconds"]

    @cached_property
    def virt_type(self):
        """The type of the domains."""
        if self.hypervisor.null:
            return "test"
        if self.settings["virt_type"] != "auto":
            return self.settings["virt_type"]
        return read_facts(FACT_FILE).get(VIRT_TYPE, "qemu")

    @property
    def commands(self):
        """The calls that changed something."""
        return self.hypervisor.commands

    def needs(self, item):
        """A domain needs its ports."""
        return [item["id"], *(port["id"] for port in item["ports"] if item["state"] == "present")]

    def status(self, want):
        """The power state."""
        return want["power"]

    def apply(self, steps, done):
        """Converge several domains at a time.

        Guests that boot slow down the start of other domains. So several new guests start paused and are resumed
        together.
        """
        new = [step for step in steps if step.action == "create" and step.want["power"] == "running"]
        paused = new if len(new) > 1 and not self.hypervisor.null else []

        def create(step):
            self.create(step, paused=step in paused)

        def done_unless_paused(server_id, error):
            if error or all(step.id != server_id for step in paused):
                done(server_id, error)

        actions = {"create": create, "update": self.update, "delete": self.delete}
        errors = each(actions, THREADS)(steps, done_unless_paused)
        started = [step for step in paused if step.id not in errors]
        return errors | each({"create": self.resume}, THREADS)(started, done)

    def prepare(self):
        """Open the connection. An error is raised again by C(read)."""
        with suppress(ItemError):
            self.hypervisor.connect()

    def read(self, servers):
        """Read the domains of the listed servers."""
        if self.hypervisor.connection is None:
            self.hypervisor.connect()
        have = {}
        for item in servers:
            check.uuid(item["id"])
            domain = self.hypervisor.find(item["id"])
            if domain is not None:
                with suppress(Gone):
                    have[item["id"]] = self._read(domain)
                    continue
            if item["state"] == "absent" and os.path.isdir(self._directory(item["id"])):
                have[item["id"]] = {"boot_id": None, "definition": None, "persistent": False, "power": "shutoff"}
        return have

    def marks(self):
        """List the domains."""
        self.hypervisor.connect()
        return self.hypervisor.servers()

    def _read(self, domain):
        definition = summary(self.hypervisor.definition(domain))
        boot_id = definition.pop("boot_id")
        return {
            "boot_id": boot_id,
            "definition": definition,
            "persistent": self.hypervisor.is_persistent(domain),
            "power": self.hypervisor.power(domain),
        }

    def _directory(self, server_id):
        return os.path.join(self.directory, server_id)

    def want(self, item, have):
        """Return the wanted definition, power state and boot_id; the boot_id of a stopped server is not compared."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        definition = summary(self._xml(item))
        boot_id = definition.pop("boot_id")
        stopped = have and item["power"] == "shutoff"
        return {
            "definition": definition,
            "persistent": True,
            "power": item["power"],
            "boot_id": have["boot_id"] if have and (stopped or not boot_id) else boot_id,
        }

    def _xml(self, item):
        for port in item["ports"]:
            check.uuid(port["id"])
            check.mac(port["mac"] or "")
        return Definition(item, virt_type=self.virt_type, directory=self.directory).xml()

    def create(self, step, paused):
        """Define the domain, and start it if it should run."""
        self.hypervisor.define(step.id, self._xml(step.item))
        if step.want["power"] == "running":
            self.hypervisor.start(step.id, paused)

    def resume(self, step):
        """Let the guest of a paused domain run."""
        self.hypervisor.resume(step.id)

    def update(self, step):
        """Stop, redefine and start the domain as needed.

        The new boot_id is stored after the old boot has ended, so that the next run completes an interrupted one.
        """
        alive = step.have["power"] != "shutoff"
        reboots = alive and step.changes("boot_id")
        wants_run = step.want["power"] == "running"
        if alive and (reboots or not wants_run or step.have["power"] == "crashed"):
            gently = step.have["power"] == "running" and (not wants_run or step.item["reboot"] == "soft")
            self.hypervisor.stop(step.id, self.shutdown_seconds if gently else 0)
            alive = False
        if any(step.changes(key) for key in ("definition", "persistent", "boot_id")):
            self.hypervisor.define(step.id, self._xml(step.item))
        if wants_run and not alive:
            self.hypervisor.start(step.id)
        elif wants_run and step.have["power"] == "paused":
            self.hypervisor.resume(step.id)
        if alive and step.changes("definition"):
            self.hypervisor.unplug(step.id, {port["device"] for port in step.want["definition"]["interfaces"]})

    def delete(self, step):
        """Remove the domain, if it exists, then the directory."""
        if step.have["definition"] is not None:
            self.hypervisor.remove(step.id)
        remove(self._directory(step.id))
