# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables of the bridge of port security, and the flows in them that belong to no port and no security group.

Flows are texts as C(ovs-ofctl --names --no-stats dump-flows) prints them, so that wanted and present ones compare
equal.

A frame passes the bridge between a tap and the patch that leads to the integration bridge. From a tap it goes through
the tables PORT, SPOOF and EGRESS, from a patch through PORT and INGRESS, then through STATE, GROUPS, VERDICT and OUT.
GROUPS has a flow for each port and direction, which looks up each security group of the port in the tables of the
direction. A rule that matches there sets the register ALLOWED.
"""

from __future__ import annotations

PORT, SPOOF, EGRESS, INGRESS, STATE, GROUPS, VERDICT, OUT, PACKETS = range(9)
# Registers: the zone of connection tracking, 0 without it; whether a rule matched. A security group is in
# C(NXM_NX_XXREG1), which is reg4 to reg7; the group of the remote address is in C(NXM_NX_XXREG2), reg8 to reg11.
ZONE, ALLOWED = "NXM_NX_REG0[]", "NXM_NX_REG1[]"
ALLOW = f"load:0x1->{ALLOWED}"
TRACKED_ZONE = "zone=NXM_NX_REG0[0..15]"
MARK = "NXM_NX_CT_MARK[]"
INVALID = "ct_state=+inv"
# Cookies: the first 24 bits say what a flow belongs to, the others are those of an id in the name of a tap.
PORTS, SECURITY_GROUPS, SHARED, QOS = (prefix << 40 for prefix in (0x736B79, 0x736B67, 0x736B73, 0x736B71))
PREFIX_MASK = 0xFFFFFF << 40
IP = ("ip", "ipv6")
# The messages of IPv6 (RFC 4443, RFC 4861, RFC 3810) that pass without a rule, as in Neutron: queries of multicast
# listeners, router and neighbour advertisements and solicitations; servers also report what they listen to.
ICMPV6_OUT, ICMPV6_IN = (130, 131, 132, 133, 135, 143), (130, 134, 135, 136)


class Direction:
    """The tables and fields of one direction, seen from the server."""

    def __init__(self, name, first_table, fields):
        self.name = name
        # The rules of a group, and its remote groups; its rules without one; addresses of groups; rules with one.
        self.group, self.rules, self.members, self.remote_rules = range(first_table, first_table + 4)
        self.fields = fields  # of the remote address, by IP version


DIRECTIONS = {
    "egress": Direction("egress", 10, {4: "nw_dst", 6: "ipv6_dst"}),
    "ingress": Direction("ingress", 20, {4: "nw_src", 6: "ipv6_src"}),
}


def cookie(prefix, identifier=None):
    """Return the cookie of the flows of an id."""
    return f"{prefix | int(identifier[:11].replace('-', ''), 16):#x}" if identifier else f"{prefix:#x}"


def text(mark, table, priority, match, actions):
    """Return the text of a flow with the cookie C(mark)."""
    where = f"table={table}, " if table else ""
    return f"cookie={mark}, {where}priority={priority}{',' if match else ''}{match} actions={actions}"


def goto(table):
    """Return the action that looks up a table."""
    return f"resubmit(,{table})"


def shared_flows():
    """Return the flows that belong to no port, sorted."""
    found = [*_spoof(), *_always(), *_state(), *_verdict()]
    return sorted(text(cookie(SHARED), *flow) for flow in found)


def _spoof():
    """Yield what no server may send: answers of DHCP servers and routers, and others' neighbour advertisements."""
    for match in ("udp,tp_src=67", "udp6,tp_src=547", "icmp6,icmp_type=134"):
        yield SPOOF, 60, match, "drop"
    yield SPOOF, 30, "icmp6,icmp_type=136", "drop"


def _always():
    """Yield what passes without a rule, and where the rest goes."""
    dhcp_out = ("udp,tp_src=68,tp_dst=67", "udp6,tp_src=546,tp_dst=547")
    dhcp_in = ("arp", "udp,tp_src=67,tp_dst=68", "udp6,tp_src=547,tp_dst=546")
    for table, types, others in ((EGRESS, ICMPV6_OUT, dhcp_out), (INGRESS, ICMPV6_IN, dhcp_in)):
        for match in (*(f"icmp6,icmp_type={one}" for one in types), *others):
            yield table, 30, match, goto(OUT)
        for family in IP:
            yield table, 20, f"{family},reg0=0", goto(GROUPS)
            yield table, 10, family, f"ct(table={STATE},{TRACKED_ZONE})"


def _state():
    """Yield what replies pass, and where packets in the direction of their connection's first one go.

    Connections with the mark 1 are forbidden since they began.
    """
    yield STATE, 50, INVALID, "drop"
    for state in ("+rel", "+rpl"):
        yield STATE, 40, f"ct_state={state}+trk,ct_mark=0x1", "drop"
        yield STATE, 30, f"ct_state={state}+trk", goto(OUT)
    yield STATE, 10, "", goto(GROUPS)


def _verdict():
    """Yield what happens after the rules."""
    # The userspace datapath also gives away fragments that lack others for too long, in the place of any other packet.
    yield OUT, 20, INVALID, "drop"
    yield VERDICT, 20, "reg1=0x1", goto(OUT)
    for family in IP:
        # Rules with ports cannot match them. Without its first fragment, on which rules decide, a packet is useless.
        yield GROUPS, 20, f"{family},nw_frag=later", f"{ALLOW},{goto(VERDICT)}"
        yield VERDICT, 30, f"ct_state=+new+trk,{family},reg1=0x1", _commit(table=OUT)
        yield VERDICT, 30, f"ct_state=+est+trk,ct_mark=0x1,{family},reg1=0x1", _commit("0", OUT)
        yield VERDICT, 10, f"ct_state=+est+trk,ct_mark=0,{family}", _commit("0x1")


def _commit(mark=None, table=None):
    """Return the action that records a connection, with a mark and with the table to look up then."""
    parts = ["commit", f"table={table}" if table else "", TRACKED_ZONE, f"exec(load:{mark}->{MARK})" if mark else ""]
    return f"ct({','.join(part for part in parts if part)})"


def load(identifier, register):
    """Return the actions that load a UUID into a register of 128 bits."""
    digits = identifier.replace("-", "")
    low, high = int(digits[16:], 16), int(digits[:16], 16)
    return f"load:{low:#x}->NXM_NX_XXREG{register}[0..63],load:{high:#x}->NXM_NX_XXREG{register}[64..127]"


def loaded(identifier, register):
    """Return the match of a UUID in a register of 128 bits."""
    digits = identifier.replace("-", "")
    parts = (int(digits[start : start + 8], 16) for start in range(0, 32, 8))
    return ",".join(f"reg{register * 4 + number}={_hex(part)}" for number, part in enumerate(parts))


def _hex(number):
    return f"{number:#x}" if number else "0"


def field(name, network):
    """Return the match of an address, empty if it may be any."""
    if network.prefixlen == 0:
        return ""
    found = network.network_address if network.prefixlen == network.max_prefixlen else network
    return f",{name}={found}"
