# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: vaulted
short_description: Read files that are encrypted by Ansible Vault
description:
  - Reads YAML files with a password from another file, so that Ansible itself needs no Vault password.
options:
  _terms:
    description: The paths of the encrypted files, on the machine that runs Ansible.
    type: list
    elements: path
    required: true
  password_file:
    description: The path of the file with the password.
    type: path
    required: true
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Show the names of the secrets
  ansible.builtin.debug:
    msg: "{{ lookup('skywright.cloud.vaulted', 'secrets.yml', password_file='vault.password') | list }}"
"""

RETURN = r"""
_raw:
  description: The content of each file.
  type: list
  elements: raw
"""

import os
from functools import lru_cache

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.lookup import LookupBase
from yaml import YAMLError, safe_load

# Templates read the values many times, and decryption is slow by design.
REMEMBERED = 16


@lru_cache(maxsize=REMEMBERED)
def content(path, password_file, _changed):
    """Decrypt a file."""
    with open(password_file, "rb") as file:
        vault = VaultLib([("default", VaultSecret(file.read().strip()))])
    with open(path, "rb") as file:
        return safe_load(vault.decrypt(file.read()))


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms, variables=None, *, password_file):
        """Read the files."""
        try:
            return [content(path, password_file, os.stat(path).st_mtime_ns) for path in terms]
        except (AnsibleError, OSError, YAMLError) as error:
            raise AnsibleLookupError(f"{', '.join(terms)} cannot be read with {password_file}: {error}") from error
