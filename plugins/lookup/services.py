# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: services
short_description: The services of the API
description:
  - Returns the output of C(skywright services --json). The command must be installed beside the Python of Ansible.
options:
  _terms:
    description: None.
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Show the services with ports of their own
  ansible.builtin.debug:
    msg: "{{ query('skywright.cloud.services') | map(attribute='port') | select }}"
"""

RETURN = r"""
_raw:
  description: The services, each with its type, its name, its path on the API's port, and its own port or null.
  type: list
  elements: dict
  sample: [{type: operations, name: skywright, path: /v1, port: null}]
"""

import json
import os
import subprocess
import sys
import tempfile

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

COMMAND = [sys.executable, "-m", "skywright", "services", "--json"]
SECONDS = 60


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms, variables=None, **kwargs):
        """Return the services."""
        if terms:
            raise AnsibleLookupError("skywright.cloud.services takes no terms")
        # The command takes two seconds, and all hosts' variables use it. Ansible's processes share this directory.
        path = os.path.join(constants.DEFAULT_LOCAL_TMP, "skywright-services.json")
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            text = _run()
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), encoding="utf-8", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
        return json.loads(text)


def _run():
    try:
        asked = subprocess.run(COMMAND, check=False, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnsibleLookupError(f"the services cannot be read: {error}") from error
    if asked.returncode:
        raise AnsibleLookupError(f"{' '.join(COMMAND)} ended with {asked.returncode}: {asked.stderr.strip()}")
    return asked.stdout
