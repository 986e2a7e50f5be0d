# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one network, one server and one image look like: several modules read the same items, each its part."""

from __future__ import annotations

ID = {"type": "str", "required": True}
TEXT = {"type": "str", "required": True}
OPTIONAL = {"type": "str"}
STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
STRINGS = {"type": "list", "elements": "str", "default": []}
MTU = {"type": "int", "default": 1450}


def _list(**options):
    return {"type": "list", "elements": "dict", "default": [], "options": options}


DHCP = {
    "state": STATE,
    "mac": OPTIONAL,
    "dns_domain": {"type": "str", "default": "skywright.internal"},
    "subnets": _list(
        id=ID,
        cidr=TEXT,
        address=TEXT,
        gateway_ip=OPTIONAL,
        dns_nameservers=STRINGS,
        host_routes=_list(destination=TEXT, nexthop=TEXT),
    ),
    "hosts": _list(id=ID, state=STATE, mac=OPTIONAL, hostname=OPTIONAL, addresses=STRINGS),
}
NETWORKS = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "id": ID,
        "state": STATE,
        "type": {"type": "str", "choices": ["vxlan", "vlan", "flat"], "default": "vxlan"},
        "segmentation_id": {"type": "int"},
        "physical_network": OPTIONAL,
        "mtu": MTU,
        "peers": STRINGS,
        "former_peers": STRINGS,
        "ports": _list(id=ID, state=STATE, mac=OPTIONAL),
        "dhcp": {"type": "dict", "options": DHCP},
    },
}
SERVERS = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "id": ID,
        "state": STATE,
        "name": {"type": "str", "default": ""},
        "power": {"type": "str", "choices": ["running", "shutoff"], "default": "running"},
        "boot_id": OPTIONAL,
        "reboot": {"type": "str", "choices": ["soft", "hard"], "default": "hard"},
        "vcpus": {"type": "int", "default": 1},
        "memory_mib": {"type": "int", "default": 128},
        "image_id": OPTIONAL,
        "launched": {"type": "bool", "default": False},
        "disk_gib": {"type": "int", "default": 0},
        "ports": _list(id=ID, mac=OPTIONAL, mtu=MTU),
        "config_drive": {
            "type": "dict",
            "options": {
                "meta_data": {"type": "dict", "default": {}},
                "network_data": {"type": "dict", "default": {}},
                "user_data": OPTIONAL,
            },
        },
    },
}
IMAGES = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "id": ID,
        "state": STATE,
        "url": OPTIONAL,
        "checksum": OPTIONAL,
        "disk_format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
    },
}
