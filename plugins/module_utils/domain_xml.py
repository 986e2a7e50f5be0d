# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The XML definition of a server's domain, and the summary for the comparison of two definitions."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET

NAMESPACE = "https://skywright.cloud/xmlns/domain/1"
ET.register_namespace("skywright", NAMESPACE)
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The userspace datapath does not compute checksums, so guests must not offload them.
HOST_OFFLOADS = ("csum", "gso", "tso4", "tso6", "ecn", "ufo")
GUEST_OFFLOADS = ("csum", "tso4", "tso6", "ecn", "ufo")


class Definition:
    """The definition of one server's domain."""

    def __init__(self, item, *, virt_type, directory):
        self.item = item
        self.virt_type = virt_type
        self.directory = os.path.join(directory, item["id"])

    def xml(self):
        """Return the definition as text."""
        domain = ET.Element("domain", type=self.virt_type)
        _add(domain, "name", text="instance-" + self.item["id"])
        _add(domain, "uuid", text=self.item["id"])
        self._metadata(domain)
        _add(domain, "memory", text=str(self.item["memory_mib"] * 1024), unit="KiB")
        _add(domain, "vcpu", text=str(self.item["vcpus"]))
        system = _add(domain, "os")
        _add(system, "type", text="hvm")
        _add(system, "boot", dev="hd")
        if self.virt_type in ("kvm", "qemu"):
            _add(system, "smbios", mode="sysinfo")
            self._firmware_tables(_add(_add(domain, "sysinfo", type="smbios"), "system"))
        features = _add(domain, "features")
        _add(features, "acpi")
        _add(features, "apic")
        self._cpu(domain)
        _add(domain, "clock", offset="utc")
        _add(domain, "on_reboot", text="restart")
        _add(domain, "on_crash", text="destroy")
        self._devices(_add(domain, "devices"))
        return ET.tostring(domain, encoding="unicode")

    def _metadata(self, domain):
        server = _add(_add(domain, "metadata"), f"{{{NAMESPACE}}}server", boot_id=self.item["boot_id"] or "")
        _add(server, f"{{{NAMESPACE}}}name", text=NOT_XML.sub("?", self.item["name"]))

    def _cpu(self, domain):
        if self.virt_type == "kvm":
            _add(domain, "cpu", mode="host-passthrough", check="none")
        elif self.virt_type == "qemu":
            _add(domain, "cpu", mode="maximum", check="none")

    def _firmware_tables(self, system):
        """Set what Nova sets: by these names, cloud-init recognizes a cloud with OpenStack's metadata service."""
        values = {
            "manufacturer": "OpenStack Foundation",
            "product": "OpenStack Nova",
            "serial": self.item["id"],
            "uuid": self.item["id"],
            "family": "Virtual Machine",
        }
        for name, text in values.items():
            _add(system, "entry", text=text, name=name)

    def _devices(self, devices):
        self._disk(devices, "disk", "qcow2", "vda")
        if self.item["config_drive"] is not None:
            _add(self._disk(devices, "disk.config", "raw", "vdb"), "readonly")
        for port in self.item["ports"]:
            self._interface(devices, port)
        serial = _add(devices, "serial", type="pty")
        _add(serial, "log", file=os.path.join(self.directory, "console.log"), append="off")
        self._screen(devices)
        _add(_add(devices, "rng", model="virtio"), "backend", text="/dev/urandom", model="random")
        # Unused devices would slow down the firmware.
        _add(devices, "controller", type="usb", model="none")
        _add(devices, "memballoon", model="none")

    def _disk(self, devices, name, disk_format, target):
        disk = _add(devices, "disk", type="file", device="disk")
        _add(disk, "driver", name="qemu", type=disk_format)
        _add(disk, "source", file=os.path.join(self.directory, name))
        _add(disk, "target", dev=target, bus="virtio")
        return disk

    def _screen(self, devices):
        """A VNC screen on a UNIX socket, accessible only for root of the host; libvirt chooses the path."""
        _add(_add(devices, "graphics", type="vnc"), "listen", type="socket")
        # Every system and firmware has a driver for VGA.
        _add(_add(devices, "video"), "model", type="vga")

    @staticmethod
    def _interface(devices, port):
        interface = _add(devices, "interface", type="ethernet")
        _add(interface, "mac", address=port["mac"].lower())
        _add(interface, "target", dev="tap" + port["id"][:11], managed="no")
        _add(interface, "model", type="virtio")
        _add(interface, "mtu", size=str(port["mtu"]))
        driver = _add(interface, "driver")
        _add(driver, "host", **dict.fromkeys(HOST_OFFLOADS, "off"))
        _add(driver, "guest", **dict.fromkeys(GUEST_OFFLOADS, "off"))


def summary(text):
    """Reduce a definition, a new one or that of libvirt, to the parts that this collection decides."""
    domain = ET.fromstring(text)
    server = domain.find(f"metadata/{{{NAMESPACE}}}server")
    cpu = domain.find("cpu")
    return {
        "boot_id": "" if server is None else server.get("boot_id"),
        "name": "" if server is None else (server.findtext(f"{{{NAMESPACE}}}name") or "").strip(),
        "type": domain.get("type"),
        "memory": int(domain.findtext("memory")),
        "vcpus": int(domain.findtext("vcpu")),
        "cpu": None if cpu is None else cpu.get("mode"),
        "smbios": {entry.get("name"): entry.text for entry in domain.findall("sysinfo/system/entry")},
        "disks": [_disk(disk) for disk in domain.findall("devices/disk")],
        "interfaces": [_interface(interface) for interface in domain.findall("devices/interface")],
        "console": [log.get("file") for log in domain.findall("devices/serial/log")],
        "screens": [listen.get("type") for listen in domain.findall("devices/graphics/listen")],
        "video": [model.get("type") for model in domain.findall("devices/video/model")],
        "rng": [rng.get("model") for rng in domain.findall("devices/rng")],
    }


def _disk(disk):
    target = disk.find("target")
    return {
        "file": _attribute(disk, "source", "file"),
        "format": _attribute(disk, "driver", "type"),
        "target": [target.get("dev"), target.get("bus")],
        "readonly": disk.find("readonly") is not None,
    }


def _interface(interface):
    offloads = interface.find("driver/host")
    return {
        "mac": _attribute(interface, "mac", "address"),
        "device": _attribute(interface, "target", "dev"),
        "managed": _attribute(interface, "target", "managed"),
        "model": _attribute(interface, "model", "type"),
        "mtu": _attribute(interface, "mtu", "size"),
        "offloads": None if offloads is None else offloads.get("csum"),
    }


def _attribute(element, child, name):
    found = element.find(child)
    return None if found is None else found.get(name)


def _add(parent, tag, text=None, **attributes):
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child
