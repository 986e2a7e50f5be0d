#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts in systemd-nspawn containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nspawn_host
short_description: Run hosts as systemd-nspawn containers
description:
  - Creates and boots containers with systemd-nspawn, each on an overlay over one shared tree.
  - The module starts a host again that stopped, was killed or lost its network devices.
  - The module replaces a host whose recipe changed (its tree or its addresses).
  - The module creates and records the SSH host keys, so that the first connection is verified.
extends_documentation_fragment: skywright.cloud.converge
options:
  base:
    description: The tree that the hosts share; see M(skywright.cloud.base_tree). Hosts that are present need it.
    type: path
  directory:
    description: The directory of the hosts' own files, one subdirectory per host.
    type: path
    required: true
  authorized_key:
    description: The SSH public key that is authorized for root. Hosts that are present need it.
    type: str
  known_hosts:
    description: The file that the SSH host keys are recorded in.
    type: path
    required: true
  hosts:
    description: The hosts to converge. The module does not change other hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the container, of its network namespace and of its control group.
        type: str
        required: true
      hostname:
        description: The host name, which is also the name of its directory.
        type: str
        required: true
      nics:
        description: The network devices. The first one is the management NIC.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The name of the device in the host.
            type: str
            required: true
          device:
            description: The name of its peer on the machine.
            type: str
            required: true
          bridge:
            description: The bridge of the peer.
            type: str
            required: true
          address:
            description: The address with its prefix length. Without it, the device has no address.
            type: str
      state:
        description: Whether the host exists and runs.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Create a host
  skywright.cloud.nspawn_host:
    base: /var/cache/skywright/base-0123456789ab
    directory: /srv/lab/hosts
    authorized_key: "{{ lookup('file', '/srv/lab/id_ed25519.pub') }}"
    known_hosts: /srv/lab/known_hosts
    hosts:
      - name: sw1a2b-host1
        hostname: host1
        nics: [{name: host0, device: sw1a2b-1m, bridge: sw1a2b-m, address: 10.90.43.11/24}]
"""

RETURN = r"""
results:
  description: One entry per host, with the name of its container as C(id).
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import json
import os
import uuid

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import nspawn
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.mounts import remove_tree

ARGUMENT_SPEC = {
    "base": {"type": "path"},
    "directory": {"type": "path", "required": True},
    "authorized_key": {"type": "str", "no_log": False},
    "known_hosts": {"type": "path", "required": True},
    "hosts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "hostname": {"type": "str", "required": True},
            "nics": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "device": {"type": "str", "required": True},
                    "bridge": {"type": "str", "required": True},
                    "address": {"type": "str"},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


class Hosts:
    """The hosts of one directory."""

    def __init__(self, params, runner):
        self.params = params
        self.runner = runner

    def directory(self, item):
        """Return the directory of the host."""
        return os.path.join(self.params["directory"], item["hostname"])

    def recipe(self, item):
        """Return everything that the host is made of. A changed recipe replaces the host."""
        recipe = {key: self.params[key] for key in ("base", "authorized_key")}
        script = nspawn.script(item, self.directory(item))
        return dict(recipe, script=script, devices=nspawn.devices(), nics=item["nics"])

    def read(self, items):
        """Return the state of each host, complete or partial."""
        have = {item["id"]: self._read_one(item) for item in items}
        return {name: found for name, found in have.items() if found}

    def _read_one(self, item):
        running, nics, recipe = nspawn.running(item["name"]), nspawn.attached(item), None
        path = os.path.join(self.directory(item), "recipe.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                recipe = json.load(file)
        rests = [self.directory(item), f"/run/netns/{item['name']}", *nspawn.cgroups(item["name"])]
        if not any(os.path.exists(rest) for rest in rests):
            return None
        return {"recipe": recipe, "running": running, "nics": nics}

    def want(self, item, have):
        """Return the wanted state of a host."""
        if item["state"] == "absent":
            return None
        if not self.params["base"] or not self.params["authorized_key"]:
            raise ItemError("a host that is present needs base and authorized_key")
        nics = {nic["device"]: nic["bridge"] for nic in item["nics"]}
        return {"recipe": self.recipe(item), "running": True, "nics": nics}

    def update(self, step):
        """Attach devices to their bridges, restart or replace the host, whatever is the least that suffices."""
        if step.changes("recipe"):
            self.delete(step)
            self.create(step)
        elif step.have["running"] and all(os.path.exists(f"/sys/class/net/{nic}") for nic in step.want["nics"]):
            for device, bridge in step.want["nics"].items():
                self.runner.write(["ip", "link", "set", device, "master", bridge, "up"])
        else:
            nspawn.start(self.runner, step.item, self.directory(step.item), self.params["base"])

    def create(self, step):
        """Write the host's files to a temporary directory, rename it and boot the host."""
        directory = self.directory(step.item)
        half = os.path.join(self.params["directory"], f".{step.item['hostname']}.half-made")
        remove_tree(self.runner, half)
        for path, (mode, text) in self._files(step).items():
            _write(os.path.join(half, path), mode, text)
        # An overlay has the mode of the upper directory, so it must equal that of the lower one.
        for path, _, _ in os.walk(os.path.join(half, "upper")):
            os.chmod(path, 0o700 if path.endswith(("/upper/root", "/.ssh")) else 0o755)
        os.makedirs(os.path.join(half, "root"))
        os.makedirs(os.path.join(half, "work"))
        key = os.path.join(half, "upper/etc/ssh/ssh_host_ed25519_key")
        self.runner.write(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", step.item["hostname"], "-f", key])
        os.rename(half, directory)
        self._record(step.item, _text(os.path.join(directory, "upper/etc/ssh/ssh_host_ed25519_key.pub")))
        nspawn.start(self.runner, step.item, directory, self.params["base"])

    def _files(self, step):
        name = step.item["hostname"]
        files = {
            "recipe.json": (0o644, json.dumps(step.want["recipe"])),
            "run": (0o755, step.want["recipe"]["script"]),
            "upper/etc/hostname": (0o644, name + "\n"),
            "upper/etc/hosts": (0o644, f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n"),
            "upper/etc/machine-id": (0o444, uuid.uuid4().hex + "\n"),
            "upper/etc/ssh/.keep": (0o644, ""),
            "upper/etc/tmpfiles.d/machine.conf": (0o644, step.want["recipe"]["devices"]),
            "upper/root/.ssh/authorized_keys": (0o600, self.params["authorized_key"].strip() + "\n"),
        }
        for nic in step.item["nics"]:
            if nic["address"]:
                # The name must sort before the file of Debian for this device.
                network = f"[Match]\nName={nic['name']}\n\n[Network]\nAddress={nic['address']}\n"
                files[f"upper/etc/systemd/network/10-{nic['name']}.network"] = (0o644, network)
        return files

    def delete(self, step):
        """Remove the host completely."""
        nspawn.stop(self.runner, step.item, self.directory(step.item))
        remove_tree(self.runner, self.directory(step.item))
        self._record(step.item, None)

    def _record(self, item, key):
        path, address = self.params["known_hosts"], (item["nics"][0]["address"] or "").split("/")[0]
        lines = _text(path).splitlines() if os.path.exists(path) else []
        lines = [line for line in lines if line.split()[0] != address]
        if key:
            lines.append(" ".join([address, *key.split()[:2]]))
        _write(path + ".new", 0o644, "".join(line + "\n" for line in lines))
        os.rename(path + ".new", path)


def _text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write(path, mode, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def main():
    """Converge the hosts."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner = Runner()
    hosts = Hosts(module.params, runner)
    converge(
        module,
        items=[dict(host, id=host["name"]) for host in module.params["hosts"]],
        read=hosts.read,
        want=hosts.want,
        apply=each({"create": hosts.create, "update": hosts.update, "delete": hosts.delete}),
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
