# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image, as the modules that need images read it."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment C(skywright.cloud.images)."""

    DOCUMENTATION = r"""
options:
  images:
    description: The images to converge.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: UUID of the image.
        type: str
        required: true
      state:
        description: Whether the image shall be in the cache.
        type: str
        choices: [present, absent]
        default: present
      url:
        description: Where to download it (http, https or file); only read when the image is missing.
        type: str
      checksum:
        description: Algorithm and hexadecimal digest of what the URL serves, such as V(sha256:...).
        type: str
      disk_format:
        description: Format of what the URL serves.
        type: str
        choices: [qcow2, raw]
        default: qcow2
"""
