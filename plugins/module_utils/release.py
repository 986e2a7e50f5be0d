# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases a DHCP lease in the name of a guest. Before that, dnsmasq would not lease the address to another guest.

Does the same as dhcp_release of dnsmasq-utils, in one process for many leases.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

from ansible_collections.skywright.cloud.plugins.module_utils import netns


def packet(address, mac, server):
    """Return the packet of a DHCPRELEASE."""
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, int.from_bytes(os.urandom(4), "big"), 0, 0)
    fields = ipaddress.IPv4Address(address).packed + bytes(12) + hardware + bytes(192)
    options = b"\x63\x82\x53\x63" + b"\x35\x01\x07" + b"\x36\x04" + ipaddress.IPv4Address(server).packed + b"\xff"
    return head + fields + options


def release(namespace, device, leases):
    """Send the packets of (address, mac, server) from a device in a namespace; raise OSError on failure."""

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
            for address, mac, server in leases:
                udp.sendto(packet(address, mac, server), (server, 67))

    netns.inside(namespace, send)
