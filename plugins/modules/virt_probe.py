#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Detection whether KVM works on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virt_probe
short_description: Detect whether KVM can run guests
description:
  - The device C(/dev/kvm) is no proof, because on some hosts it can be opened but guests hang.
  - So the module boots a disk of 512 bytes that stops its virtual machine at once, with a timeout.
  - The result is C(hypervisor_virt_type) in a file of local facts. A host with a result is not probed again.
extends_documentation_fragment: skywright.cloud.converge
options:
  virt_type:
    description: The result to store; V(auto) probes the host.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  seconds:
    description: Seconds that the virtual machine may take to boot and stop.
    type: int
    default: 5
  fact:
    description: The file of local facts.
    type: path
    default: /etc/ansible/facts.d/skywright.fact
"""

EXAMPLES = r"""
- name: Detect whether KVM can run guests
  skywright.cloud.virt_probe:
"""

RETURN = r"""
results:
  description: One entry, whose C(status) is C(kvm) or C(qemu).
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import os
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.converge import converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.local_facts import (
    FACT_FILE,
    VIRT_TYPE,
    read_facts,
    write_facts,
)

ARGUMENT_SPEC = {
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "seconds": {"type": "int", "default": 5},
    "fact": {"type": "path", "default": FACT_FILE},
}
KVM = "/dev/kvm"
# mov al, 0x10; out 0xf4, al; hlt -- QEMU's isa-debug-exit then ends with 2 * 0x10 + 1.
SECTOR = b"\xb0\x10\xe6\xf4\xf4".ljust(510, b"\0") + b"\x55\xaa"
ENDED = 2 * 0x10 + 1
# Guests run as an unprivileged user, which may have no access to the device.
AS_GUEST = ["setpriv", "--reuid=libvirt-qemu", "--regid=kvm", "--init-groups"]


def boots(seconds):
    """Boot the sector with KVM and return whether it exited with the expected status."""
    with tempfile.NamedTemporaryFile(prefix="skywright-probe-") as disk:
        disk.write(SECTOR)
        disk.flush()
        os.chmod(disk.name, 0o644)
        argv = [*AS_GUEST, "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "16"]
        argv += ["-display", "none", "-nodefaults"]
        argv += ["-drive", f"file={disk.name},format=raw,snapshot=on", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return done.returncode == ENDED


def main():
    """Converge the fact."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params

    def want(item, have):
        if params["virt_type"] != "auto":
            return {VIRT_TYPE: params["virt_type"]}
        if have:
            return have
        return {VIRT_TYPE: "kvm" if os.path.exists(KVM) and boots(params["seconds"]) else "qemu"}

    def write(step):
        write_facts(params["fact"], {**read_facts(params["fact"]), **step.want})

    def read(items):
        facts = read_facts(params["fact"])
        return {"virt_type": {VIRT_TYPE: facts[VIRT_TYPE]}} if VIRT_TYPE in facts else {}

    converge(
        module,
        items=[{"id": "virt_type"}],
        read=read,
        want=want,
        apply=each({"create": write, "update": write}),
        status=lambda wanted: wanted[VIRT_TYPE],
    )


if __name__ == "__main__":
    main()
