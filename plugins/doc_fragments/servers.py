# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server, as the modules that converge servers read it."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment C(skywright.cloud.servers)."""

    DOCUMENTATION = r"""
options:
  servers:
    description: The servers to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: UUID of the server and of its domain.
        type: str
        required: true
      state:
        description: Whether the server shall exist; V(absent) destroys it even if it runs.
        type: str
        choices: [present, absent]
        default: present
      name:
        description: The user's name of the server; it is only kept in the domain's metadata.
        type: str
        default: ''
      power:
        description: Whether the server shall run.
        type: str
        choices: [running, shutoff]
        default: running
      boot_id:
        description: A running server that was booted under another boot_id is rebooted.
        type: str
      reboot:
        description: How to reboot; V(soft) asks the guest first.
        type: str
        choices: [soft, hard]
        default: hard
      vcpus:
        description: Number of virtual processors.
        type: int
        default: 1
      memory_mib:
        description: Memory.
        type: int
        default: 128
      image_id:
        description: UUID of the image that the disk is based on; only read when the disk is missing.
        type: str
      launched:
        description: Whether the server ran before; a missing disk is an error then, and not made anew.
        type: bool
        default: false
      disk_gib:
        description: Size of the disk, which only ever grows; V(0) is the image's own size.
        type: int
        default: 0
      ports:
        description: Network interfaces in their order; each joins the port C(tap) and 11 characters of its id.
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description: UUID of the port.
            type: str
            required: true
          mac:
            description: MAC address.
            type: str
          mtu:
            description: MTU of the port's network.
            type: int
            default: 1450
      config_drive:
        description: What the config drive says, in OpenStack's layout; without it there is none.
        type: dict
        suboptions:
          meta_data:
            description: Content of C(meta_data.json).
            type: dict
            default: {}
          network_data:
            description: Content of C(network_data.json).
            type: dict
            default: {}
          user_data:
            description: Content of C(user_data) in base64.
            type: str
"""
