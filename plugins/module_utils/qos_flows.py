# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The meters and flows of a port with QoS rules, on the bridge of port security.

What has passed the port's filters meets its limits in the table OUT, the last one; see C(pipeline.py). A flow can have
one meter, so that a limit of packets in addition to one of bits has the table PACKETS. A port without port security
has no filters: its flows lead from PORT to OUT.

Meters are texts as C(ovs-ofctl add-meter) reads them. Each port has four numbers of meters, one for each limit.
"""

from __future__ import annotations

import re

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import (
    IP,
    OUT,
    PACKETS,
    PORT,
    QOS,
    cookie,
    goto,
    text,
)
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import in_port

# The limits of a port, in the order of the numbers of their meters.
LIMITS = tuple((kind, way) for kind in ("bandwidth_limits", "packet_rate_limits") for way in ("egress", "ingress"))
NUMBERS = range(1, 2**16)  # of ports: a userspace switch has 2^18 meters
LARGEST = 2**32 - 1  # of the rate and the burst of a meter (OpenFlow 1.3, A.3.4.4)
# Without a burst, TCP must still reach the rate: Neutron's default is the same part of the rate.
DEFAULT_BURST = 0.8
HEADER_BYTES = 18  # of Ethernet with a VLAN tag
PRINTED = re.compile(r"meter=(\d+) (\w+) burst (?:stats )?bands=\s*type=drop rate=(\d+) burst_size=(\d+)")
USED = re.compile(r"meter[:=](\d+)")
SAVED = re.compile(r"# number (\d+)$", re.MULTILINE)


def number_of(saved):
    """Return the number of a port in the text of its file, or None."""
    found = SAVED.match(saved)
    return int(found[1]) if found else None


def number_in(texts):
    """Return the number of a port in its flows, or None."""
    found = USED.search(" ".join(texts))
    return number_of_meter(int(found[1])) if found else None


def meter_id(text):
    """Return the number of a meter."""
    return int(USED.match(text)[1])


def number_of_meter(meter):
    """Return the number of the port that has a meter."""
    return meter // len(LIMITS)


def meters_of(number):
    """Return the numbers of all meters that a port may have."""
    return range(len(LIMITS) * number, len(LIMITS) * (number + 1)) if number else ()


def printed_meters(output):
    """Return the meters that C(ovs-ofctl dump-meters) printed, {number of the meter: text}."""
    return {int(found[1]): _meter(*found.groups()) for found in PRINTED.finditer(output)}


def meters(port, mtu, number):
    """Return the meters of a port with the options of M(skywright.cloud.ovs_qos), sorted."""
    found = _limits(port, number)
    return [_meter(meter, *_measured(kind, limit, mtu)) for (kind, _way), (meter, limit) in found.items()]


def _limits(port, number):
    """Return {(kind, direction): (number of its meter, limit)}. A limit of 0 is none, as in Neutron."""
    found = {}
    for position, (kind, way) in enumerate(LIMITS):
        here = [limit for limit in port["qos"][kind] or () if limit["direction"] == way and limit[_rate(kind)]]
        if len(here) > 1:
            raise ItemError(f"a port has only one of {kind} with the direction {way}")
        if here:
            found[kind, way] = meters_of(number)[position], here[0]
    return found


def _rate(kind):
    return "max_kbps" if kind == "bandwidth_limits" else "max_kpps"


def _measured(kind, limit, mtu):
    """Return the unit, the rate and the burst of a meter."""
    if kind == "bandwidth_limits":
        rate, burst = limit["max_kbps"], limit["max_burst_kbps"]
        # A frame larger than the burst would never pass.
        unit, factor, least = "kbps", 1, 2 * (mtu + HEADER_BYTES) * 8 // 1000 + 1
    else:
        rate, burst = limit["max_kpps"], limit["max_burst_kpps"]
        unit, factor, least = "pktps", 1000, 1
    if not 1 <= rate < 2**31 or not 0 <= burst < 2**31:
        raise ItemError("rates are between 1 and 2147483647, and bursts between 0 and 2147483647")
    wanted = max(factor * burst or int(DEFAULT_BURST * factor * rate), least)
    return unit, min(factor * rate, LARGEST), min(wanted, LARGEST)


def _meter(meter, unit, rate, burst):
    return f"meter={meter},{unit},burst,bands=type=drop,rate={rate},burst_size={burst}"


def flows(port, tap, patch, number):
    """Return the flows of a port, sorted. C(tap) and C(patch) are its ports on the bridge of port security."""
    found, limits, mark = [], _limits(port, number), port["qos"]["dscp_mark"]
    if mark is not None and not 0 <= mark < 64:
        raise ItemError("a DSCP mark is between 0 and 63")
    for way, device, other in (("egress", tap, patch), ("ingress", patch, tap)):
        first, second = (_action(limits.get((kind, way))) for kind in ("bandwidth_limits", "packet_rate_limits"))
        output = f'output:"{other}"'
        leave = goto(PACKETS) if second else output
        if not port["port_security_enabled"]:
            found += [(PORT, 5, in_port(device), goto(OUT)), (OUT, 5, in_port(device), output)]
        if first or second:
            found.append((OUT, 12, in_port(device), first + leave))
        if second:
            found.append((PACKETS, 10, in_port(device), second + output))
        if way == "egress" and mark is not None:
            found += [(OUT, 15, f"{ip},{in_port(device)}", f"{first}set_field:{mark}->ip_dscp,{leave}") for ip in IP]
    return sorted(text(cookie(QOS, port["id"]), *flow) for flow in found)


def _action(limit):
    return f"meter:{limit[0]}," if limit else ""
