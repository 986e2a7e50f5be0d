# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and creates certificates with the program openssl (3.0 or later). No message contains a private key."""

from __future__ import annotations

import ipaddress
import re
import ssl
import time

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

DAY = 86400
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
PRIVATE_KEY = re.compile(r"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\n", re.DOTALL)
FIELDS = "subjectAltName,subjectKeyIdentifier,authorityKeyIdentifier"

AUTHORITY = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")
HOLDER = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
)


class Certificate:
    """The content of a certificate."""

    def __init__(self, pem, text):
        self.pem = pem
        self.key_id = _after(text, "Subject Key Identifier")
        self.signer = _after(text, "Authority Key Identifier").removeprefix("keyid:")
        self.public_key = PUBLIC_KEY.search(text).group()
        self.ends = ssl.cert_time_to_seconds(re.search(r"notAfter=(.+)", text).group(1))
        alternatives = [entry.partition(":") for entry in _after(text, "Subject Alternative Name").split(", ")]
        self.names = sorted(value for kind, _, value in alternatives if kind == "DNS")
        self.addresses = sorted(str(ipaddress.ip_address(v)) for kind, _, v in alternatives if kind == "IP Address")

    def days(self):
        """The days until it expires."""
        return (self.ends - time.time()) / DAY

    def date(self):
        """The day on which it expires."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.ends))


def _after(text, title):
    found = re.search(rf"X509v3 {title}:.*\n\s+(\S.*)", text)
    return found.group(1).strip() if found else ""


def certificates(runner, pem):
    """Parse all certificates of a PEM text; skip those that cannot be parsed."""
    return [certificate for part in CERTIFICATE.findall(pem or "") if (certificate := _certificate(runner, part))]


def _certificate(runner, pem):
    try:
        return Certificate(
            pem, runner.read(["openssl", "x509", "-noout", "-enddate", "-pubkey", "-ext", FIELDS], stdin=pem)
        )
    except ItemError:
        return None


def public_key(runner, path):
    """Return the public key of the private key in a file, or None if the file has no private key."""
    try:
        return PUBLIC_KEY.search(runner.read(["openssl", "pkey", "-pubout", "-in", path])).group()
    except ItemError:
        return None


def make(runner, name, days, extensions, signer=None):
    """Create a private key and its certificate as PEM, self-signed or signed by C(signer), a CA and its key file."""
    argv = ["openssl", "req", "-x509", "-config", "/dev/null", "-subj", f"/CN={name}", "-days", str(days)]
    argv += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", "/dev/stdout"]
    for extension in extensions:
        argv += ["-addext", extension]
    if signer:
        argv += ["-CA", "/dev/stdin", "-CAkey", signer[1]]
    try:
        answer = runner.read(argv, stdin=signer[0] if signer else "")
    except ItemError as error:
        raise ItemError(PRIVATE_KEY.sub("", str(error))) from None
    return PRIVATE_KEY.search(answer).group(), CERTIFICATE.search(answer).group()
