# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of the configuration files of a network's DHCP server."""

from __future__ import annotations

import os
import re

from ansible_collections.skywright.cloud.plugins.module_utils import check, metadata_proxies
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

IPV4 = re.compile(r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}")
UNIT_NAME = "skywright-dhcp@.service"
# The unit needs only ip, ethtool and dnsmasq, so the DHCP server starts again when the host boots. If the namespace
# lost its name, the metadata proxy may still keep it with the veth pair. A new pair replaces that one, after the switch
# has noticed that the device is gone: it would not notice a replaced one.
UNIT = """\
[Unit]
Description=DHCP server of network %i
After=network.target openvswitch-switch.service
ConditionPathExists={directory}/%i/dnsmasq.conf
StartLimitIntervalSec=0

[Service]
Type=exec
EnvironmentFile={directory}/%i/environment
ExecStartPre=-/usr/sbin/ip netns add qdhcp-%i
ExecStartPre=-/usr/sbin/ip link add ${{DEVICE}} type veth peer name ${{INNER}} netns qdhcp-%i
ExecStartPre=/usr/sbin/ip -batch {directory}/%i/outside
ExecStartPre=/usr/sbin/ip -netns qdhcp-%i -batch {directory}/%i/inside
ExecStartPre=/usr/sbin/ethtool -K ${{DEVICE}} tx off
ExecStartPre=/usr/sbin/ip netns exec qdhcp-%i /usr/sbin/ethtool -K ${{INNER}} tx off
ExecStart=/usr/sbin/ip netns exec qdhcp-%i /usr/sbin/dnsmasq -k --conf-file={directory}/%i/dnsmasq.conf
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
CONFIGURATION = """\
interface={inner}
except-interface=lo
bind-interfaces
no-hosts
no-resolv
no-ping
pid-file=
quiet-dhcp
domain={domain}
dhcp-authoritative
dhcp-lease-max=65536
dhcp-leasefile={directory}/leases
dhcp-hostsfile={directory}/hosts
dhcp-optsfile={directory}/options
dhcp-optsfile={directory}/port-options
addn-hosts={directory}/names
conf-file={tags}
"""
# One tag for each byte of a MAC address, so that an option may name a port by six of them. Tags in host entries would
# be shorter, but dnsmasq 2.90 crashes when it forgets an entry with a tag of which it gave a lease.
MAC_TAGS = "".join(
    f"dhcp-mac=set:mac{place}-{byte:02x},{'*:' * place}{byte:02x}{':*' * (5 - place)}\n"
    for place in range(6)
    for byte in range(256)
)
INSIDE = """\
link set lo up
link set dev {inner} address {mac} mtu {mtu} up
address flush dev {inner} scope global
"""


def tags_file(directory):
    """Return the path of the file with the tags of MAC addresses, which all servers read."""
    return os.path.join(directory, "mac-tags.conf")


def outer_device(network_id):
    """Return the name of the veth device on the integration bridge."""
    return "dh" + network_id[:11]


def inner_device(network_id):
    """Return the name of the veth device in the namespace."""
    return "ns" + network_id[:11]


def base_files(item, directory):
    """Return the files that dnsmasq reads only at its start, as {name: text}."""
    outer, inner, dhcp = outer_device(item["id"]), inner_device(item["id"]), item["dhcp"]
    subnets = sorted(dhcp["subnets"], key=lambda subnet: subnet["id"])
    configuration = CONFIGURATION.format(
        inner=inner,
        directory=os.path.join(directory, item["id"]),
        domain=check.dns_name(dhcp["dns_domain"]),
        tags=tags_file(directory),
    )
    inside = INSIDE.format(inner=inner, mac=check.mac(dhcp["mac"] or ""), mtu=item["mtu"])
    return {
        "environment": f"DEVICE={outer}\nINNER={inner}\n",
        "outside": f"link set dev {outer} addrgenmode none mtu {item['mtu']} up\n",
        "inside": inside + "".join(f"{line}\n" for line in _addresses(dhcp, subnets, inner)),
        "dnsmasq.conf": configuration + "".join(f"dhcp-range={_range(subnet)}\n" for subnet in subnets),
    }


def _tag(subnet):
    return "subnet-" + check.uuid(subnet["id"])


def _addresses(dhcp, subnets, device):
    if dhcp["metadata"]:
        yield f"address replace {metadata_proxies.ADDRESS}/32 dev {device}"
    for subnet in subnets:
        yield _address(subnet, device)


def _address(subnet, device):
    network, own = check.network(subnet["cidr"]), check.address(subnet["address"])
    if own not in network:
        raise ItemError(f"the DHCP server's address {own} is not in {network}")
    duplicate_detection = " nodad" if own.version == 6 else ""
    return f"address replace {own}/{network.prefixlen} dev {device}{duplicate_detection}"


def _range(subnet):
    network = check.network(subnet["cidr"])
    size = network.netmask if network.version == 4 else network.prefixlen
    return f"set:{_tag(subnet)},{network.network_address},static,{size},86400"


def options(item):
    """Return the file of DHCP options, which dnsmasq reads again on SIGHUP."""
    lines = [f"option:mtu,{item['mtu']}"]
    for subnet in sorted(item["dhcp"]["subnets"], key=lambda subnet: subnet["id"]):
        version = check.network(subnet["cidr"]).version
        lines += _options4(subnet, item["dhcp"]["metadata"]) if version == 4 else _options6(subnet)
    return "".join(line + "\n" for line in lines)


def _options4(subnet, metadata):
    tag = "tag:" + _tag(subnet)
    servers = [str(check.address(server)) for server in subnet["dns_nameservers"]]
    gateway = subnet["gateway_ip"] and str(check.address(subnet["gateway_ip"]))
    # An empty value suppresses the option; without it, dnsmasq would announce itself as the router.
    lines = [f"{tag},option:router,{gateway}" if gateway else f"{tag},option:router"]
    if servers:
        lines.append(f"{tag},option:dns-server,{','.join(servers)}")
    routes = [(check.network(r["destination"]), check.address(r["nexthop"])) for r in subnet["host_routes"]]
    if metadata:
        routes.append((f"{metadata_proxies.ADDRESS}/32", check.address(subnet["address"])))
    if routes:
        # A client ignores the router option if it gets classless static routes (RFC 3442).
        pairs = [f"{destination},{nexthop}" for destination, nexthop in routes]
        pairs += [f"0.0.0.0/0,{gateway}"] if gateway else []
        lines += [f"{tag},{option},{','.join(pairs)}" for option in ("option:classless-static-route", "249")]
    return lines


def _options6(subnet):
    servers = [f"[{check.address(server)}]" for server in subnet["dns_nameservers"]]
    return [f"tag:{_tag(subnet)},option6:dns-server,{','.join(servers)}"] if servers else []


def host_entry(host):
    """Return the lines of one port, one per address; a comment has the port's id."""
    name = f",{check.dns_name(host['hostname'])}" if host["hostname"] else ""
    lines = []
    for text in host["addresses"]:
        address = check.address(text)
        shown = f"[{address}]" if address.version == 6 else str(address)
        lines.append(f"{check.mac(host['mac'] or '')}{name},{shown} # {check.uuid(host['id'])}\n")
    return "".join(lines)


def port_options(host):
    """Return the lines with the DHCP options of one port; a comment has the port's id."""
    tags = [f"tag:mac{place}-{byte}" for place, byte in enumerate(check.mac(host["mac"] or "").split(":"))]
    lines = []
    for option in host["options"]:
        name, value = check.option_name(option["name"]), check.option_value(option["value"])
        parts = [*tags, name if name.isdigit() else f"option:{name}", *([value] if value else [])]
        lines.append(f"{','.join(parts)} # {check.uuid(host['id'])}\n")
    return "".join(lines)


def port_names(host):
    """Return the lines with the names of one port's addresses, as in /etc/hosts; a comment has the port's id."""
    lines = []
    for entry in host["names"]:
        names = " ".join(check.dns_name(name) for name in entry["names"])
        lines.append(f"{check.address(entry['address'])} {names} # {check.uuid(host['id'])}\n")
    return "".join(lines)


def entries(text):
    """Parse a file with lines of ports: {port id: its lines}."""
    hosts = {}
    for line in text.splitlines(keepends=True):
        port_id = line.partition(" # ")[2].strip()
        hosts[port_id] = hosts.get(port_id, "") + line
    return hosts


def leases_of(entry):
    """Return the IPv4 leases (address, mac) that a port's lines allow; skip lines that were damaged."""
    fields = [line.partition(" # ")[0].split(",") for line in entry.splitlines()]
    return [(line[-1], line[0]) for line in fields if IPV4.fullmatch(line[-1]) and check.MAC.fullmatch(line[0])]
