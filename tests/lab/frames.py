"""Frames of Ethernet, as bytes."""

import ipaddress
import struct
from itertools import zip_longest

BROADCAST = "ff:ff:ff:ff:ff:ff"
UDP, ICMP6 = 17, 58
ALL_NODES = "ff02::1"


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def link_local(station: str) -> str:
    """The link-local address of a station (RFC 4291, appendix A)."""
    octets = mac(station)
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.ip_address(b"\xfe\x80" + bytes(6) + identifier))


def ethernet(source: str, kind: int, payload: bytes, target: str = BROADCAST) -> bytes:
    return mac(target) + mac(source) + struct.pack(">H", kind) + payload


def arp(source: str, sender: str, address: str, wanted: str = "0.0.0.0") -> bytes:
    """An ARP reply to all from the station *source*: *address* is at *sender*."""
    hardware = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2)
    return ethernet(source, 0x0806, hardware + mac(sender) + ip(address) + mac(BROADCAST) + ip(wanted))


def udp(source: str, address: str, target: str, ports: tuple[int, int] = (1000, 2000)) -> bytes:
    """A UDP datagram from the station *source*, of IPv4 or IPv6."""
    body = struct.pack(">HHHH", *ports, 8, 0)
    if ":" in address:
        return _ipv6(source, address, target, UDP, body)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, UDP, 0) + ip(address) + ip(target)
    return ethernet(source, 0x0800, header[:10] + struct.pack(">H", _checksum(header)) + header[12:] + body)


def neighbour(source: str, address: str, target: str) -> bytes:
    """A neighbour advertisement from the station *source*: *target* is there."""
    return _icmp6(source, address, 136, struct.pack(">I", 0x20000000) + ip(target) + b"\x02\x01" + mac(source))


def router(source: str, address: str) -> bytes:
    """A router advertisement from the station *source*."""
    return _icmp6(source, address, 134, struct.pack(">BBHII", 64, 0, 1800, 0, 0))


def _icmp6(source: str, address: str, kind: int, body: bytes) -> bytes:
    message = struct.pack(">BBH", kind, 0, 0) + body
    pseudo = ip(address) + ip(ALL_NODES) + struct.pack(">II", len(message), ICMP6)
    message = message[:2] + struct.pack(">H", _checksum(pseudo + message)) + message[4:]
    return _ipv6(source, address, ALL_NODES, ICMP6, message)


def _ipv6(source: str, address: str, target: str, protocol: int, payload: bytes) -> bytes:
    header = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 255)
    return ethernet(source, 0x86DD, header + ip(address) + ip(target) + payload)


def _checksum(data: bytes) -> int:
    """The checksum of RFC 1071."""
    total = sum(high << 8 | low for high, low in zip_longest(data[::2], data[1::2], fillvalue=0))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
