#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate authority (CA) in a directory, and its certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Manage a certificate authority in a directory, and its certificates
description:
  - Creates and renews C(<id>.pem) and C(<id>.key) for each item, signed by the certificate authority (CA) of the
    directory, C(ca.pem) and C(ca.key).
  - The module replaces a certificate and its private key when the certificate expires soon, has other names or
    addresses, does not match its key, or was signed by another CA.
  - C(ca.pem) has all trusted CA certificates. During a rotation these are several, so that hosts accept certificates of
    the old and the new CA.
  - Private keys are only in their files, not in results or diffs.
requirements:
  - openssl 3.0 or later
extends_documentation_fragment: skywright.cloud.converge
options:
  directory:
    description: The directory of all files. A missing directory is created with mode 0700.
    type: path
    required: true
  authority_name:
    description: The name of a new CA, which gets a suffix of eight random digits.
    type: str
    default: Skywright CA
  authority_days:
    description: Validity of a new CA certificate, in days.
    type: int
    default: 3650
  authority_step:
    description:
      - The step of the rotation of the CA to take. A step can be repeated.
      - C(introduce) creates a new CA, which is trusted but does not sign yet.
      - C(adopt) lets the new CA sign. Take this step after all hosts trust it. The old CA stays trusted.
      - C(retire) removes old CAs from the trusted ones.
      - C(auto) introduces when the CA expires in less than twice I(valid_days), adopts when it expires in less than
        I(valid_days), and retires expired CAs.
    type: str
    choices: [auto, introduce, adopt, retire]
    default: auto
  valid_days:
    description: Validity of a new certificate, in days.
    type: int
    default: 365
  renew_before_days:
    description: A certificate that expires in fewer days is renewed.
    type: int
    default: 60
  certificates:
    description: The certificates to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The name of the files, and the certificate's common name.
        type: str
        required: true
      names:
        description: The DNS names of the certificate.
        type: list
        elements: str
        default: []
      addresses:
        description: The IP addresses of the certificate.
        type: list
        elements: str
        default: []
      combined:
        description: Whether C(<id>.pem) also contains the private key, so that the file is secret.
        type: bool
        default: false
      state:
        description: Whether the certificate exists.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Create the certificates of two hosts
  skywright.cloud.tls_certificate:
    directory: /etc/cloud/pki
    certificates:
      - {id: host1, names: [host1], addresses: [10.0.0.11]}
      - {id: host2, names: [host2], addresses: [10.0.0.12]}
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
results:
  description: One entry per certificate, after the entry of the CA with the id C(ca).
  returned: always
  type: list
  elements: dict
commands:
  description: The files that were written or removed.
  returned: always
  type: list
  elements: list
"""

import ipaddress
import os
import re
import secrets
from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import x509
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock

ARGUMENT_SPEC = {
    "directory": {"type": "path", "required": True},
    "authority_name": {"type": "str", "default": "Skywright CA"},
    "authority_days": {"type": "int", "default": 3650},
    "authority_step": {"type": "str", "choices": ["auto", "introduce", "adopt", "retire"], "default": "auto"},
    "valid_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int", "default": 60},
    "certificates": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "combined": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}

AUTHORITY = "ca"
SUCCESSOR = "ca-next"
NEW = "a new authority"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


class Directory:
    """The CA and the certificates of a directory."""

    def __init__(self, runner, params):
        self.runner = runner
        self.params = params
        self.signer = None

    def _path(self, name):
        return os.path.join(self.params["directory"], name)

    def _write(self, name, text, mode=0o644):
        write_text(self._path(name), text, mode)
        self.runner.commands.append(["write", name])

    def read(self, items):
        """Return the CA and the certificates of the items."""
        have = {item["id"]: self._certificate(item["id"]) for item in items if item["id"] != AUTHORITY}
        have[AUTHORITY] = self._authority()
        return {name: there for name, there in have.items() if there}

    def _certificate(self, name):
        text = read_text(self._path(f"{name}.pem"))
        found = x509.certificates(self.runner, text)
        key = x509.public_key(self.runner, self._path(f"{name}.key"))
        if not found and not key:
            return None
        if not found or found[0].public_key != key:
            return {"due": True}
        due = found[0].days() < self.params["renew_before_days"]
        there = {key: getattr(found[0], key) for key in ("names", "addresses", "signer")}
        return {**there, "due": due, "combined": "PRIVATE KEY" in text, "ends": found[0].date()}

    def _trusted(self):
        return x509.certificates(self.runner, read_text(self._path("ca.pem")))

    def _authority(self):
        trusted = self._trusted()
        if not trusted:
            return None
        by_key = {authority.public_key: authority.key_id for authority in trusted}
        keys = {name: x509.public_key(self.runner, self._path(f"{name}.key")) for name in (AUTHORITY, SUCCESSOR)}
        return {
            "signer": by_key.get(keys[AUTHORITY]),
            "successor": by_key.get(keys[SUCCESSOR]),
            "trusted": [authority.key_id for authority in trusted],
            "days": {authority.key_id: round(authority.days(), 1) for authority in trusted},
        }

    def want(self, item, have):
        """Return the wanted state of the CA or of a certificate."""
        if item["id"] == AUTHORITY:
            wanted = self._want_authority(have)
            self.signer = wanted["signer"]
            return wanted
        check(item)
        if item["state"] == "absent":
            return None
        if self.signer is None:
            raise ItemError("there is no CA to sign the certificate")
        names, addresses = sorted(set(item["names"])), sorted({str(ipaddress.ip_address(a)) for a in item["addresses"]})
        same = {"combined": item["combined"], "signer": self.signer, "due": False}
        return {"names": names, "addresses": addresses, **same}

    def _want_authority(self, have):
        if have is None:
            return {"signer": NEW, "successor": None, "trusted": [NEW]}
        signer, successor, trusted = have["signer"], have["successor"], list(have["trusted"])
        if signer is None:
            raise ItemError("ca.key is not the key of a CA in ca.pem; restore it, or remove both for a new CA")
        step, left, valid = self.params["authority_step"], have["days"][signer], self.params["valid_days"]
        if successor is None and (step == "introduce" or (step == "auto" and left < 2 * valid)):
            return {"signer": signer, "successor": NEW, "trusted": [*trusted, NEW]}
        if successor and (step == "adopt" or (step == "auto" and left < valid)):
            signer, successor = successor, None
        if step in ("auto", "retire"):
            ended = [key_id for key_id in trusted if step == "retire" or have["days"][key_id] <= 0]
            trusted = [key_id for key_id in trusted if key_id in (signer, successor) or key_id not in ended]
        return {"signer": signer, "successor": successor, "trusted": trusted}

    def actions(self):
        """The writes, by action."""
        return {"create": self._make, "update": self._make, "delete": self._remove}

    def _make(self, step):
        if step.id == AUTHORITY:
            self._converge_authority(step)
            return
        signer = self._signing()
        alternatives = [f"DNS:{name}" for name in step.want["names"]] + [f"IP:{a}" for a in step.want["addresses"]]
        extensions = (*x509.HOLDER, "subjectAltName=" + ",".join(alternatives))
        days = min(self.params["valid_days"], int(signer.days()))
        key, pem = x509.make(self.runner, step.id, days, extensions, signer=(signer.pem, self._path("ca.key")))
        self._write(f"{step.id}.key", key, 0o600)
        combined = step.want["combined"]
        self._write(f"{step.id}.pem", pem + key if combined else pem, 0o600 if combined else 0o644)

    def _remove(self, step):
        for name in (f"{step.id}.pem", f"{step.id}.key"):
            remove(self._path(name))
            self.runner.commands.append(["remove", name])

    def _converge_authority(self, step):
        trusted = [authority for authority in self._trusted() if authority.key_id in step.want["trusted"]]
        pem = "".join(authority.pem for authority in trusted)
        if NEW in step.want["trusted"]:
            name = f"{self.params['authority_name']} {secrets.token_hex(4)}"
            key, made = x509.make(self.runner, name, self.params["authority_days"], x509.AUTHORITY)
            self._write(f"{SUCCESSOR if step.have else AUTHORITY}.key", key, 0o600)
            pem += made
        elif step.changes("signer"):
            os.replace(self._path(f"{SUCCESSOR}.key"), self._path(f"{AUTHORITY}.key"))
            self.runner.commands.append(["write", "ca.key"])
        if step.changes("trusted"):
            self._write("ca.pem", pem)

    def _signing(self):
        key = x509.public_key(self.runner, self._path("ca.key"))
        for authority in self._trusted():
            if authority.public_key == key:
                return authority
        raise ItemError("there is no CA to sign the certificate")


def check(item):
    """Refuse ids that are no file name, and invalid names and addresses."""
    for name in (item["id"], *(name.removeprefix("*.") for name in item["names"])):
        if not NAME.fullmatch(name):
            raise ItemError(f"{name!r} is not a host name")
    for address in item["addresses"]:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ItemError(str(error)) from None
    if item["state"] == "present" and not item["names"] and not item["addresses"]:
        raise ItemError("the certificate has neither a name nor an address")


def main():
    """Converge the CA, then the certificates."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner = Runner()
    directory = Directory(runner, module.params)
    path, ids = module.params["directory"], [item["id"] for item in module.params["certificates"]]
    if len({AUTHORITY, SUCCESSOR, *ids}) < len(ids) + 2:
        module.fail_json(msg=f"ids must be unique and differ from {AUTHORITY} and {SUCCESSOR}")
    if not module.check_mode:
        os.makedirs(path, mode=0o700, exist_ok=True)
    with nullcontext() if module.check_mode else lock("certificates", directory=path):
        converge(
            module,
            items=[{"id": AUTHORITY}, *module.params["certificates"]],
            read=directory.read,
            want=directory.want,
            apply=each(directory.actions()),
            commands=runner.commands,
        )


if __name__ == "__main__":
    main()
