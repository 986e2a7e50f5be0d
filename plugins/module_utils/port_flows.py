# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of port security: a server sends only from its own addresses, and is no DHCP server and no router.

Flows are texts as C(ovs-ofctl --names --no-stats dump-flows) prints them, so that wanted and present ones compare
equal. Everything that is allowed takes the action C(NORMAL), as without port security.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.skywright.cloud.plugins.module_utils import check

# The first 24 bits of the cookies of all these flows; the others are those of the port's id in the name of its tap.
COOKIES = 0x736B79 << 40
COOKIE_MASK = 0xFFFFFF << 40
UNSPECIFIED = {4: "0.0.0.0", 6: "::"}
# Priorities: what no server may send, what it sends before it has an address, its neighbour advertisements and those of
# others, what it sends from its addresses, and everything else.
FORBIDDEN, UNADDRESSED, OWN_NEIGHBOUR, OTHER_NEIGHBOUR, OWN, OTHER = 60, 50, 40, 30, 20, 10
SERVERS = ("udp,{port},tp_src=67", "udp6,{port},tp_src=547", "icmp6,{port},icmp_type=134")


def cookie(port_id):
    """Return the cookie of a port's flows."""
    return f"{COOKIES | int(port_id[:11].replace('-', ''), 16):#x}"


def in_port(tap):
    """Return the match of frames from a tap."""
    return f'in_port="{tap}"'


def flows(port, tap):
    """Return the flows of a port of a server with the options of M(skywright.cloud.ovs_port_security), sorted."""
    here = in_port(tap)
    found = [(FORBIDDEN, text.format(port=here), "drop") for text in SERVERS]
    found += [(OTHER_NEIGHBOUR, f"icmp6,{here},icmp_type=136", "drop"), (OTHER, here, "drop")]
    for mac, networks in sorted(_sources(port).items()):
        sender = f"{here},dl_src={mac}"
        dhcp = f"udp,{sender},nw_src={UNSPECIFIED[4]},tp_src=68,tp_dst=67"
        probe = f"arp,{sender},arp_spa={UNSPECIFIED[4]},arp_sha={mac}"  # RFC 5227
        found += [(UNADDRESSED, dhcp, "NORMAL"), (OWN, probe, "NORMAL")]
        # Multicast listener reports and router solicitations without an address (RFC 4861, RFC 9777).
        unaddressed = f"icmp6,{sender},ipv6_src={UNSPECIFIED[6]}"
        found += [(UNADDRESSED, f"{unaddressed},icmp_type={kind}", "NORMAL") for kind in (131, 132, 133, 143)]
        own = [*_own4(sender, mac, networks), *_own6(sender, networks)]
        found += [(priority, match, "NORMAL") for priority, match in own]
    texts = {
        f"cookie={cookie(port['id'])}, priority={priority},{match} actions={actions}"
        for priority, match, actions in found
    }
    return sorted(texts)


def _own4(sender, mac, networks):
    """Yield (priority, match) of what a server sends from its IPv4 addresses."""
    for network in networks:
        if network.version == 4:
            yield OWN, f"arp,{sender}{_field('arp_spa', network)},arp_sha={mac}"
            yield OWN, f"ip,{sender}{_field('nw_src', network)}"


def _own6(sender, networks):
    """Yield (priority, match) of what a server sends from its IPv6 addresses; it advertises no other ones."""
    own = [network for network in networks if network.version == 6]
    sources, targets = ([_field(name, network) for network in own] for name in ("ipv6_src", "nd_target"))
    for source in sources:
        yield OWN, f"ipv6,{sender}{source}"
        for target in targets:
            yield OWN_NEIGHBOUR, f"icmp6,{sender}{source},icmp_type=136{target}"
    for target in targets:
        # Duplicate address detection (RFC 4862).
        yield UNADDRESSED, f"icmp6,{sender},ipv6_src={UNSPECIFIED[6]},icmp_type=135{target}"


def _field(name, network):
    """Return the match of a field, empty if it may have any address."""
    if network.prefixlen == 0:
        return ""
    text = network.network_address if network.prefixlen == network.max_prefixlen else network
    return f",{name}={text}"


def _sources(port):
    """Return {MAC address: the networks of its IP addresses}, link-local ones included."""
    own = check.mac(port["mac"] or "")
    found = {own: {check.network(address) for address in port["addresses"]}}
    for pair in port["allowed_address_pairs"]:
        mac = check.mac(pair["mac_address"] or own)
        found.setdefault(mac, set()).add(check.network(pair["ip_address"], strict=False))
    return {mac: sorted(networks | {link_local(mac)}, key=str) for mac, networks in found.items()}


def link_local(mac):
    """Return the link-local address of a MAC address, as a network (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    identifier = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return ipaddress.ip_network(b"\xfe\x80" + bytes(6) + identifier)
