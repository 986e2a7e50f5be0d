# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of a security group: its rules, and the addresses by which rules of other groups name it.

See C(pipeline.py) for the tables. Flows of one table have the same action, so those that overlap need no order.
"""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import (
    ALLOW,
    DIRECTIONS,
    SECURITY_GROUPS,
    cookie,
    field,
    goto,
    load,
    loaded,
    text,
)

# The names of protocols in Neutron's API.
PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
VERSIONS = {"IPv4": 4, "IPv6": 6}
FAMILIES = {4: "ip", 6: "ipv6"}
# How the switch writes a protocol of an IP version; all others are numbers.
WITH_PORTS = {4: {6: "tcp", 17: "udp", 132: "sctp"}, 6: {6: "tcp6", 17: "udp6", 132: "sctp6"}}
ICMP = {4: {1: "icmp"}, 6: {58: "icmp6"}}
PORT_NUMBERS = 2**16


def rules(item):
    """Return {rule as its users know it: the texts of its flows} of a security group."""
    found = {}
    for rule in item["rules"]:
        found.setdefault(describe(rule), set()).update(_rule(item["id"], rule))
    for direction in DIRECTIONS.values():
        mine = [rule for rule in item["rules"] if rule["direction"] == direction.name]
        if mine:
            remotes = sorted({rule["remote_group_id"] for rule in mine if rule["remote_group_id"]})
            label = f"{direction.name} rules" + (f", also for the members of {', '.join(remotes)}" if remotes else "")
            found[label] = {_text(item["id"], direction.group, loaded(item["id"], 1), _visits(direction, remotes))}
    return found


def _visits(direction, remotes):
    """Return the actions that look up the rules of a group, also for each group that they name."""
    found = [goto(direction.rules)]
    found += [f"{load(remote, 2)},{goto(direction.members)}" for remote in remotes]
    return ",".join(found)


def members(item):
    """Return {address or network: the texts of its flows} of the addresses of a security group."""
    networks = {check.network(text, strict=False) for text in item["members"]}
    return {str(network): {*_member(item["id"], network)} for network in networks}


def _member(group, network):
    for direction in DIRECTIONS.values():
        match = f"{FAMILIES[network.version]},{loaded(group, 2)}"
        match += field(direction.fields[network.version], network)
        yield _text(group, direction.members, match, goto(direction.remote_rules))


def describe(rule):
    """Return a rule as text, which tells it from all others."""
    words = [rule["direction"], rule["ethertype"], rule["protocol"] or "any protocol"]
    if rule["port_range_min"] is not None or rule["port_range_max"] is not None:
        words.append(f"{_known(rule['port_range_min'])}:{_known(rule['port_range_max'])}")
    remote = rule["remote_group_id"] or rule["remote_ip_prefix"] or "any address"
    return " ".join([*words, "from" if rule["direction"] == "ingress" else "to", remote])


def _known(number):
    return "" if number is None else number


def _rule(group, rule):
    """Yield the texts of the flows of a rule."""
    direction, version = DIRECTIONS[rule["direction"]], VERSIONS[rule["ethertype"]]
    table, where = direction.rules, loaded(group, 1)
    if rule["remote_group_id"]:
        table, where = direction.remote_rules, f"{where},{loaded(check.uuid(rule['remote_group_id']), 2)}"
    where += _address(direction, version, rule["remote_ip_prefix"])
    family, number = FAMILIES[version], _number(rule["protocol"], version)
    name = {**WITH_PORTS[version], **ICMP[version]}.get(number)
    for fields in _ports(rule, version, number):
        if name:
            yield _text(group, table, f"{name},{where}{fields}", ALLOW)
        else:
            yield _text(group, table, f"{family},{where}" + ("" if number is None else f",nw_proto={number}"), ALLOW)
        if fields:
            # The switch takes the ports of first fragments as 0, but knows those of the connection.
            tracked = f"ct_state=-inv+trk,ct_nw_proto={number}{_tracked(fields)}"
            yield _text(group, table, f"{tracked},{family},{where},nw_frag=first", ALLOW)


def _tracked(fields):
    """Return the matches of a connection's ports, or of its type and code of ICMP, that are those of its packets."""
    return fields.replace("tp_dst", "ct_tp_dst").replace("icmp_type", "ct_tp_src").replace("icmp_code", "ct_tp_dst")


def _text(group, table, match, actions):
    return text(cookie(SECURITY_GROUPS, group), table, 10, match, actions)


def _address(direction, version, prefix):
    if not prefix:
        return ""
    network = check.network(prefix, strict=False)
    if network.version != version:
        raise ItemError(f"{prefix} is not a prefix of IPv{version}")
    return field(direction.fields[version], network)


def _number(protocol, version):
    """Return the number of a protocol; that of ICMP is the one of the IP version, as in Neutron."""
    if protocol is None:
        return None
    number = PROTOCOLS.get(protocol.lower(), int(protocol) if protocol.isdecimal() else None)
    if number is None or number > 255:
        raise ItemError(f"{protocol!r} is not an IP protocol")
    return 58 if (number, version) == (1, 6) else number


def _ports(rule, version, number):
    """Return the matches of the ports of a rule, or of the type and code of ICMP."""
    low, high = rule["port_range_min"], rule["port_range_max"]
    if low is None and high is None:
        return [""]
    if number in ICMP[version]:
        return [f",icmp_type={low}" + ("" if high is None else f",icmp_code={high}")]
    if number not in WITH_PORTS[version]:
        raise ItemError(f"the switch matches no ports of protocol {rule['protocol']}")
    return port_matches(0 if low is None else low, PORT_NUMBERS - 1 if high is None else high)


def port_matches(low, high):
    """Return the fewest matches that cover a range of ports: blocks of a power of two, as large as possible."""
    if not 0 <= low <= high < PORT_NUMBERS:
        raise ItemError(f"{low}:{high} is not a range of ports")
    found = []
    while low <= high:
        size = low & -low or PORT_NUMBERS
        while low + size - 1 > high:
            size //= 2
        mask = PORT_NUMBERS - size
        found.append("" if size == PORT_NUMBERS else f",tp_dst={low}" if size == 1 else f",tp_dst={low:#x}/{mask:#x}")
        low += size
    return found
