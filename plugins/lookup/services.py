# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: services
short_description: The services of the API
description:
  - Tells what C(skywright services --json) tells, which has to be installed where Ansible runs, beside its Python.
options:
  _terms:
    description: None.
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: The ports that the API listens on beside its own
  ansible.builtin.debug:
    msg: "{{ query('skywright.cloud.services') | map(attribute='port') | select }}"
"""

RETURN = r"""
_raw:
  description: The services, each with its type, its name, its path on the API's port, and the port of its own or null.
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
        # The command takes two seconds, and every host's variables ask: Ansible's own processes share this directory.
        path = os.path.join(constants.DEFAULT_LOCAL_TMP, "skywright-services.json")
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            text = _ask()
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), encoding="utf-8", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
        return json.loads(text)


def _ask():
    try:
        asked = subprocess.run(COMMAND, check=False, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnsibleLookupError(f"the services cannot be told: {error}") from error
    if asked.returncode:
        raise AnsibleLookupError(f"{' '.join(COMMAND)} ended with {asked.returncode}: {asked.stderr.strip()}")
    return asked.stdout
