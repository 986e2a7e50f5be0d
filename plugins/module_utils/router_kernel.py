# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a router's namespace no program is needed for: kernel parameters, connections, announcements of addresses.

These functions work in the namespace of the thread that calls them (see C(netns.inside)).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text

PARAMETERS = "/proc/sys/net"
WANTED_PARAMETERS = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    # An interface answers and asks for its own addresses only, and announces them when it comes up.
    "ipv4/conf/all/arp_ignore": "1",
    "ipv4/conf/all/arp_announce": "2",
    "ipv4/conf/all/arp_notify": "1",
    # Removing an address keeps the others of its network.
    "ipv4/conf/all/promote_secondaries": "1",
}
ETHERNET_BROADCAST, ARP = b"\xff" * 6, 0x0806
# linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
NETLINK_NETFILTER = 12
DELETE_CONNECTIONS = 1 << 8 | 2
REQUEST_ACKNOWLEDGED = 1 | 4
CTA_MARK, CTA_MARK_MASK = 8, 21


def read_parameters():
    """Return the parameters that routers need, {path: value}."""
    return {path: (read_text(os.path.join(PARAMETERS, path)) or "").strip() for path in WANTED_PARAMETERS}


def write_parameters(values):
    """Set parameters, {path: value}."""
    for path, value in values.items():
        with open(os.path.join(PARAMETERS, path), "w") as file:
            file.write(value)


def announce(addresses):
    """Announce IPv4 addresses [(device, MAC address, address)] by gratuitous ARP (RFC 5227), which neighbours note."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        for device, mac, address in addresses:
            raw.sendto(announcement(mac, address), (device, ARP))


def announcement(mac, address):
    """Return the frame that announces an address."""
    own, packed = bytes.fromhex(mac.replace(":", "")), ipaddress.IPv4Address(address).packed
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + packed + bytes(6) + packed
    return ETHERNET_BROADCAST + own + struct.pack("!H", ARP) + request


def cut(mark):
    """Delete all connections with a mark, like C(conntrack -D --mark); the mark is text such as 0x0000abcd."""
    body = struct.pack("!BBH", socket.AF_UNSPEC, 0, 0)
    body += _attribute(CTA_MARK, int(mark, 16)) + _attribute(CTA_MARK_MASK, 0xFFFFFFFF)
    head = struct.pack("=IHHII", 16 + len(body), DELETE_CONNECTIONS, REQUEST_ACKNOWLEDGED, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.sendto(head + body, (0, 0))
        (code,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if code:
        raise OSError(-code, f"cannot delete the connections with mark {mark}")


def _attribute(kind, value):
    return struct.pack("=HH", 8, kind) + struct.pack("!I", value)
