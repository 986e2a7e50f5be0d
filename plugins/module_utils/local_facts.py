# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file of local facts, which modules write and read on the host."""

from __future__ import annotations

import json
import os

from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, write_text

FACT_FILE = "/etc/ansible/facts.d/skywright.fact"
VIRT_TYPE = "hypervisor_virt_type"


def read_facts(path):
    """Return the facts of the file; a missing file has none."""
    return json.loads(read_text(path) or "{}")


def write_facts(path, facts):
    """Replace the facts of the file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_text(path, json.dumps(facts))
