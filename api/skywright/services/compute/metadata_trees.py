"""The files of the metadata service: an OpenStack tree and an EC2 tree, as in Nova's nova/api/metadata/base.py.

https://docs.openstack.org/nova/latest/user/metadata.html
A tree is a dictionary of names; a value is a tree, or the content of a file as text or bytes.
"""

import base64
import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import netaddr
import orjson

from skywright.services.compute.kinds.config_drive import meta_data, network_data
from skywright.services.compute.server_fields import ROOT_DEVICE
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Network, Port

EC2_VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
OPENSTACK_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
)
LATEST = "latest"
PASSWORD = "password"
# The first versions with a file, and with a field of meta_data.json.
FIRST_WITH_FILE = {
    PASSWORD: "2013-04-04",
    "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15",
    "vendor_data2.json": "2016-10-06",
}
FIRST_WITH_FIELD = {
    "random_seed": "2013-04-04",
    "project_id": "2015-10-15",
    "devices": "2016-06-30",
    "dedicated_cpus": "2020-10-14",
}
# The first versions with an item of the EC2 tree's meta-data.
FIRST_WITH_ITEM = {
    "local-hostname": "2007-01-19",
    "public-hostname": "2007-01-19",
    "public-ipv4": "2007-01-19",
    "instance-type": "2007-08-29",
    "block-device-mapping": "2007-12-15",
    "placement": "2008-02-01",
    "instance-action": "2008-09-01",
}
SEED_BYTES = 512
LISTED_AS = "_name"  # the key of a directory's text in the list of names

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Instance:
    """The server that asks: its record, its ports in the order of its interfaces, their networks, the address that it
    used, and its first floating IP.
    """

    server: Server
    ports: Sequence[Port]
    networks: Mapping[str, Network]
    address: str
    floating_ip: str


def find(instance: Instance, path: str) -> bytes | None:
    """Return the content of the file, or the list of names of the directory, at *path*; None if there is none."""
    first, *names = [name for name in posixpath.normpath(f"/{path}").split("/") if name] or [""]
    if first not in ("ec2", "openstack"):
        first, names = "ec2", [name for name in (first, *names) if name]
    versions = OPENSTACK_VERSIONS if first == "openstack" else EC2_VERSIONS
    if not names:
        return "\n".join((*versions, LATEST)).encode()
    version = versions[-1] if names[0] == LATEST else names[0]
    if version not in versions:
        return None
    tree = openstack_tree(instance, version) if first == "openstack" else ec2_tree(instance, version)
    return _find(tree, names[1:], listed=first == "ec2")


def password_allowed(path: str) -> bool:
    """Return whether *path* is the file `password` of the OpenStack tree."""
    names = posixpath.normpath(f"/{path}").split("/")[1:]
    versions = [version for version in OPENSTACK_VERSIONS if version >= FIRST_WITH_FILE[PASSWORD]]
    return len(names) == 3 and names[0] == "openstack" and names[1] in (*versions, LATEST) and names[2] == PASSWORD


def openstack_tree(instance: Instance, version: str) -> Tree:
    """Return the files of a version of the OpenStack tree."""
    server = instance.server
    files: dict[str, Any] = {"meta_data.json": orjson.dumps(_meta_data(instance, version))}
    if server.user_data is not None:
        files["user_data"] = base64.b64decode(server.user_data)
    files |= {
        PASSWORD: server.encrypted_password,
        "vendor_data.json": b"{}",
        "network_data.json": orjson.dumps(network_data(instance.ports, instance.networks)),
        "vendor_data2.json": b'{"static": {}}',
    }
    return {name: content for name, content in files.items() if FIRST_WITH_FILE.get(name, "") <= version}


def _meta_data(instance: Instance, version: str) -> dict[str, Any]:
    """Return meta_data.json: that of the config drive with a new random seed, and without the password."""
    seed = base64.b64encode(os.urandom(SEED_BYTES)).decode()
    fields = meta_data(instance.server) | {"random_seed": seed, "dedicated_cpus": []}
    return {name: value for name, value in fields.items() if FIRST_WITH_FIELD.get(name, "") <= version}


def ec2_tree(instance: Instance, version: str) -> Tree:
    """Return the files of a version of the EC2 tree. Ids are made of the first 17 digits of UUIDs, as long as AWS's."""
    server = instance.server
    items: dict[str, Any] = {
        "ami-id": _ec2_id("ami", server.image_id),
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "FIXME",  # Nova's value
        "block-device-mapping": {"ami": ROOT_DEVICE.removeprefix("/dev/"), "root": ROOT_DEVICE},
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": _ec2_id("i", server.id),
        "instance-type": server.flavor["name"],
        "local-hostname": server.hostname,
        "local-ipv4": _first_ipv4(instance),
        "placement": {"availability-zone": server.availability_zone or "nova"},
        "public-hostname": server.hostname,
        "public-ipv4": instance.floating_ip,
        "reservation-id": server.reservation_id,
        "security-groups": "",
    }
    if server.public_key is not None:
        # Nova lists `0=name` in place of the directory `0`.
        items["public-keys"] = {"0": {LISTED_AS: f"0={server.key_name}", "openssh-key": server.public_key}}
    tree: dict[str, Any] = {
        "meta-data": {name: value for name, value in items.items() if FIRST_WITH_ITEM.get(name, "") <= version}
    }
    if server.user_data is not None:
        tree["user-data"] = base64.b64decode(server.user_data)
    return tree


def _ec2_id(prefix: str, identifier: str | None) -> str:
    return f"{prefix}-{(identifier or '0' * 36).replace('-', '')[:17]}"


def _first_ipv4(instance: Instance) -> str:
    addresses = [address.ip_address for port in instance.ports for address in port.addresses]
    return next((address for address in addresses if netaddr.IPAddress(address).version == 4), instance.address)


def _find(tree: Tree, names: Sequence[str], *, listed: bool) -> bytes | None:
    """Return what is at *names* below *tree*; *listed*: lists are sorted, with a slash after directories."""
    found: Any = tree
    for name in names:
        if not isinstance(found, Mapping) or name not in found or name == LISTED_AS:
            return None
        found = found[name]
    if isinstance(found, Mapping):
        found = "\n".join(_entries(found) if listed else found)
    return found if isinstance(found, bytes) else (found or "").encode()


def _entries(tree: Tree) -> list[str]:
    return [
        name if not isinstance(tree[name], Mapping) else tree[name].get(LISTED_AS, f"{name}/")
        for name in sorted(tree)
        if name != LISTED_AS
    ]
