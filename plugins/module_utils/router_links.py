# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interfaces and routes of a router: what is wanted, what C(ip) finds, and the lines for C(ip -batch) between them.

Interfaces are {device: {"mac", "mtu", "up", "addresses": [text]}}, routes are texts as C(ip route) takes them.
"""

from __future__ import annotations

import json
from collections import Counter

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import link_local
from ansible_collections.skywright.cloud.plugins.module_utils.router_rules import floating_addresses

PREFIX = "rt"
# Extra routes come before the routes of the gateways, also a default route that is one.
EXTRA_METRIC, GATEWAY_METRIC = 1, 1001
EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
READ = "address show\nroute show table all\n"


def device_name(port_id):
    """Return the name of a router's interface."""
    return PREFIX + port_id[:11]


def external_device(item):
    """Return the device of the external interface, or None."""
    found = [device_name(interface["port_id"]) for interface in item["interfaces"] if interface["external"]]
    if len(found) > 1:
        raise ItemError("a router has at most one external interface")
    return found[0] if found else None


def wanted_interfaces(item):
    """Return the interfaces of a router. Those of its floating IPs are addresses of the external one."""
    floating = [f"{address}/32" for address in floating_addresses(item)]
    if floating and not external_device(item):
        raise ItemError("a router without an external interface has no floating IPs")
    return {
        device_name(check.uuid(interface["port_id"])): {
            "mac": check.mac(interface["mac"]),
            "mtu": interface["mtu"],
            "up": True,
            "addresses": _addresses(interface, floating if interface["external"] else []),
        }
        for interface in item["interfaces"]
    }


def _addresses(interface, floating):
    own = [check.interface(address) for address in interface["addresses"]]
    found = {*map(str, own), *floating}
    if any(address.version == 6 for address in own):
        found.add(f"{link_local(check.mac(interface['mac'])).network_address}/64")
    return sorted(found)


def wanted_routes(item):
    """Return the routes of a router. Of several to one destination, the first has the smallest metric."""
    found, ranks = [], Counter()
    for (destination, hop), metric, suffix in [*_extra_routes(item), *_gateway_routes(item)]:
        found.append(f"{destination} {hop} proto static metric {metric + ranks[destination]}{suffix}")
        ranks[destination] += 1
    return sorted(found)


def _extra_routes(item):
    for route in item["routes"]:
        destination, hop = check.network(route["destination"]), check.address(route["nexthop"])
        if destination.version != hop.version:
            raise ItemError(f"{destination} and {hop} have different IP versions")
        whole = destination.prefixlen == destination.max_prefixlen
        shown = destination.network_address if whole else destination
        yield (str(shown), f"via {hop} dev {_device_to(hop, item['interfaces'])}"), EXTRA_METRIC, ""


def _gateway_routes(item):
    external = external_device(item)
    if item["gateways"] and not external:
        raise ItemError("a router without an external interface has no gateway")
    for hop in map(check.address, item["gateways"]):
        yield (EVERYTHING[hop.version], f"via {hop} dev {external}"), GATEWAY_METRIC, " onlink"


def _device_to(hop, interfaces):
    for interface in interfaces:
        if any(hop in check.interface(address).network for address in interface["addresses"]):
            return device_name(interface["port_id"])
    raise ItemError(f"the next hop {hop} is in no network of the router")


def parse(text):
    """Return (interfaces, routes) from the output of C(ip -json -batch) for C(READ)."""
    links, routes = _documents(text)
    interfaces = {
        link["ifname"]: {
            "mac": link["address"],
            "mtu": link["mtu"],
            "up": "UP" in link["flags"],
            "addresses": sorted(f"{info['local']}/{info['prefixlen']}" for info in link["addr_info"]),
        }
        for link in links
        if link.get("ifname", "").startswith(PREFIX)
    }
    made = [route for route in routes if route.get("table") != "local" and _protocol(route) != "kernel"]
    return interfaces, sorted(map(_route, made))


def _documents(text):
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(text)
    return first, decoder.raw_decode(text[end:].lstrip())[0]


def _protocol(route):
    """Return the protocol of a route; C(ip) does not print that of routes that it adds itself."""
    return route.get("protocol", "boot")


def _route(found):
    """Return a route as text; what no route of a router has makes it differ."""
    version = 6 if "pref" in found else 4
    words = [found.get("type", ""), EVERYTHING[version] if found["dst"] == "default" else found["dst"]]
    words += [f"{word} {found[key]}" for word, key in (("via", "gateway"), ("dev", "dev")) if key in found]
    words.append(f"proto {_protocol(found)}")
    words += [f"{key} {found[key]}" for key in ("table", "metric") if key in found]
    return " ".join([*filter(None, words), *(flag for flag in found["flags"] if flag == "onlink")])


def changes(have, want):
    """Return the lines for C(ip -batch) in the namespace. New addresses come before old ones go, and routes last."""
    lines = ["link set dev lo up"]
    lines += [f"route delete {route}" for route in have["routes"] if route not in want["routes"]]
    lines += [f"link delete dev {name}" for name in have["interfaces"] if name not in want["interfaces"]]
    for name, interface in want["interfaces"].items():
        if have["interfaces"].get(name) != interface:
            lines += _interface(name, have["interfaces"].get(name, {"addresses": []}), interface)
    return lines + [f"route add {route}" for route in want["routes"] if route not in have["routes"]]


def _interface(name, have, want):
    # Only what differs: an interface whose MAC address is set, also to the same one, announces its old addresses.
    for key, words in (("mac", "addrgenmode none address"), ("mtu", "mtu")):
        if have.get(key) != want[key]:
            yield f"link set dev {name} {words} {want[key]}"
    old, new = set(have["addresses"]), set(want["addresses"])
    for address in sorted(new - old):
        yield f"address add {address} dev {name}" + (" nodad" if ":" in address else "")
    for address in sorted(old - new):
        yield f"address delete {address} dev {name}"
    if not have.get("up"):
        yield f"link set dev {name} up"
