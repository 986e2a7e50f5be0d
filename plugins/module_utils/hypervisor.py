# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A connection to libvirt with the calls that servers need. Errors of libvirt become ItemErrors."""

from __future__ import annotations

import os
import select
import signal
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager, suppress
from functools import lru_cache, partial

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

# The directory of the PID files of libvirt's QEMU processes.
PID_FILES = "/run/libvirt/qemu"
END_MILLISECONDS = 500
# The numbers of virDomainState; blocked counts as running, and so does shutting down.
POWER = {1: "running", 2: "running", 3: "paused", 4: "running", 5: "shutoff", 6: "crashed", 7: "paused"}
# The numbers of virDomainShutoffReason; only after shutdown did the guest itself power off.
SHUTOFF = {1: "shutdown", 2: "destroyed", 3: "crashed", 4: "migrated", 5: "saved", 6: "failed", 7: "snapshot"}


@lru_cache(maxsize=None)
def _libvirt():
    """Return the libvirt module, imported at first use because the import is slow and the controller has no libvirt."""
    try:
        import libvirt  # noqa: PLC0415
    except ImportError as error:
        raise ItemError("python3-libvirt is not installed on this host") from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return libvirt


class Gone(ItemError):
    """The domain no longer exists."""


@contextmanager
def _errors(action):
    try:
        yield
    except _libvirt().libvirtError as error:
        kind = Gone if error.get_error_code() == _libvirt().VIR_ERR_NO_DOMAIN else ItemError
        raise kind(f"cannot {action}: {error.get_error_message() or error}") from error


def _version(number):
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def cpu_info(capabilities):
    """Return the host's processors from libvirt's capabilities, in the form of Nova's C(cpu_info)."""
    host = ET.fromstring(capabilities).find("host")
    cpu = host.find("cpu")
    topology, address = cpu.find("topology"), cpu.find("maxphysaddr")
    counts = {} if topology is None else topology.attrib
    return {
        "arch": cpu.findtext("arch"),
        "model": cpu.findtext("model"),
        "vendor": cpu.findtext("vendor"),
        "topology": {
            "cells": len(host.findall("topology/cells/cell")),
            "sockets": int(counts.get("sockets", 1)),
            "cores": int(counts.get("cores", 1)),
            "threads": int(counts.get("threads", 1)),
        },
        "maxphysaddr": None if address is None else {"mode": address.get("mode"), "bits": int(address.get("bits", 0))},
        "features": sorted(feature.get("name") for feature in cpu.findall("feature")),
    }


def is_server(domain):
    """Return whether this collection created the domain."""
    return domain.name() == "instance-" + domain.UUIDString()


def is_null(uri):
    """Return whether the URI is that of libvirt's test driver, which runs no guests and keeps no domains."""
    return uri.startswith("test:")


def end_emulator(name, directory=PID_FILES):
    """Send SIGTERM to the QEMU process of a domain, wait a moment, and return whether it has ended.

    libvirt does the same, but looks only every 0.2 s whether it has.
    """
    try:
        with open(os.path.join(directory, name + ".pid"), encoding="ascii") as file:
            process = os.pidfd_open(int(file.read()))
    except (OSError, ValueError, AttributeError):  # no process, or an old Python: libvirt does all
        return False
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended = select.poll()
        ended.register(process, select.POLLIN)
        return bool(ended.poll(END_MILLISECONDS))
    except OSError:
        return False
    finally:
        os.close(process)


class Hypervisor:
    """The host's libvirt; C(commands) has the calls that changed something."""

    def __init__(self, uri):
        self.uri = uri
        self.null = is_null(uri)
        self.connection = None
        self.commands = []

    def connect(self):
        """Open the connection."""
        binding = _libvirt()
        with _errors(f"reach libvirt at {self.uri}"):
            self.connection = binding.open(self.uri)

    def facts(self):
        """Return capacity and versions."""
        with _errors("read the host's capacity"):
            information = self.connection.getInfo()
            return {
                "vcpus": information[2],
                "memory_mib": information[1],
                "libvirt_version": _version(self.connection.getLibVersion()),
                "hypervisor_type": self.connection.getType(),
                "hypervisor_version": self.connection.getVersion(),
                "cpu_info": cpu_info(self.connection.getCapabilities()),
            }

    def servers(self):
        """Return the power state of every domain that is a server of this cloud, and the reason if it is off."""
        with _errors("list the domains"):
            domains = self.connection.listAllDomains()
        return [found for found in map(self._server, domains) if found]

    def _server(self, domain):
        """Return the state of a server; None if the domain is no server, or was removed after it was listed."""
        with suppress(Gone), _errors("read the power state"):
            if is_server(domain):
                return {"id": domain.UUIDString(), "power": self.power(domain), "reason": self._reason(domain)}
        return None

    @staticmethod
    def _reason(domain):
        state, reason = domain.state()
        return SHUTOFF.get(reason, "unknown") if POWER.get(state, "shutoff") == "shutoff" else None

    def find(self, server_id):
        """Return a server's domain, or None."""
        try:
            return self.connection.lookupByUUIDString(server_id)
        except _libvirt().libvirtError as error:
            if error.get_error_code() in (_libvirt().VIR_ERR_NO_DOMAIN, _libvirt().VIR_ERR_INVALID_ARG):
                return None
            raise ItemError(f"cannot read domain {server_id}: {error}") from error

    def power(self, domain):
        """Return running, paused, shutoff or crashed."""
        with _errors("read the power state"):
            return POWER.get(domain.state()[0], "shutoff")

    def is_persistent(self, domain):
        """Return whether the domain has a persistent definition."""
        with _errors("read the domain"):
            return bool(domain.isPersistent())

    def definition(self, domain):
        """Return the persistent definition, for the next boot."""
        with _errors("read the definition"):
            return domain.XMLDesc(_libvirt().VIR_DOMAIN_XML_INACTIVE)

    def define(self, server_id, xml):
        """Define or redefine the domain."""
        self.commands.append(["define", server_id])
        with _errors("define the domain"):
            self.connection.defineXML(xml)

    def start(self, server_id, paused=False):
        """Start the domain; the guest of a C(paused) one runs after C(resume)."""
        flags = _libvirt().VIR_DOMAIN_START_PAUSED if paused else 0
        self._call("start", server_id, lambda domain: domain.createWithFlags(flags))

    def resume(self, server_id):
        """Resume a paused domain."""
        self._call("resume", server_id, lambda domain: domain.resume())

    def unplug(self, server_id, devices):
        """Detach all interfaces but those of *devices* from a running domain; the guest has to release them.

        One that a guest keeps is dead, for its tap is removed, and leaves when the domain boots next. libvirt's null
        driver, whose domains have no guests, cannot unplug anything.
        """
        domain = self.find(server_id)
        with _errors("read the running domain"):
            interfaces = ET.fromstring(domain.XMLDesc(0)).findall("devices/interface")
        for interface in interfaces:
            if interface.find("target").get("dev") not in devices:
                self._call("unplug", server_id, partial(self._detach, ET.tostring(interface, encoding="unicode")))

    @staticmethod
    def _detach(xml, domain):
        try:
            domain.detachDeviceFlags(xml, _libvirt().VIR_DOMAIN_AFFECT_LIVE)
        except _libvirt().libvirtError as error:
            if error.get_error_code() != _libvirt().VIR_ERR_NO_SUPPORT:
                raise

    def stop(self, server_id, seconds):
        """Ask the guest to shut down and wait up to *seconds*; after that, or with 0 seconds, destroy the domain."""
        domain = self.find(server_id)
        if seconds and domain is not None:
            self._call("shutdown", server_id, lambda domain: domain.shutdown())
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and self._active(domain):
                time.sleep(0.1)
        if domain is not None and self._active(domain):
            self._call("destroy", server_id, self._destroy)

    def _active(self, domain):
        try:
            with _errors("read the power state"):
                return bool(domain.isActive())
        except Gone:  # it was a transient domain
            return False

    @staticmethod
    def _destroy(domain):
        try:
            domain.destroy()
        except _libvirt().libvirtError:
            # The domain may have ended in the meantime.
            if domain.isActive():
                raise

    def remove(self, server_id):
        """Destroy and undefine a domain; the next run completes an interrupted one.

        Without its definition libvirt forgets the domain by itself, a moment after its emulator has ended.
        """
        domain = self.find(server_id)
        if domain is None:
            return
        with suppress(Gone):
            if self.is_persistent(domain):
                self._undefine(server_id)
        if not self._active(domain):
            return
        if self.null or not end_emulator(domain.name()):
            self._call("destroy", server_id, self._destroy)
        else:
            self.commands.append(["destroy", server_id])

    def _undefine(self, server_id):
        """Undefine the domain with its saved state, snapshots and NVRAM."""
        flags = 0
        if not self.null:
            flags = _libvirt().VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | _libvirt().VIR_DOMAIN_UNDEFINE_NVRAM
            flags |= _libvirt().VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        self._call("undefine", server_id, lambda domain: domain.undefineFlags(flags))

    def _call(self, name, server_id, call):
        self.commands.append([name, server_id])
        with _errors(f"{name} the domain"):
            call(self.connection.lookupByUUIDString(server_id))
