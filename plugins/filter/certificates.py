# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who gets a certificate of the cloud's own authority, and for what names and addresses."""

from __future__ import annotations

import ipaddress

from ansible.errors import AnsibleFilterError

SERVICE = "service"


def host_certificates(hosts, hostvars, service=()):
    """List the certificates of hosts, for all names and addresses they go by, and that of the virtual address."""
    if SERVICE in hosts:
        raise AnsibleFilterError(f"no host can be called {SERVICE}: the virtual address's certificate is")
    wanted = {host: [host, *_aliases(host, hostvars[host], service)] for host in hosts}
    if service:
        wanted[SERVICE] = service
    return [_certificate(name, alternatives) for name, alternatives in wanted.items()]


def _aliases(host, variables, service):
    # What HAProxy passes on without looking into it, the database, is met at the virtual address, too.
    also = service if "controllers" in variables.get("group_names", []) else []
    return [variables.get("ansible_host", host), *variables.get("certificates_aliases", []), *also]


def _certificate(name, alternatives):
    addresses = [text for text in alternatives if _is_address(text)]
    return {
        "id": str(name),
        "names": sorted({str(text) for text in alternatives} - set(addresses)),
        "addresses": sorted(set(addresses)),
        # HAProxy takes both from one file.
        "combined": name == SERVICE,
    }


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class FilterModule:
    """The filter of the role certificates."""

    def filters(self):
        """Name it."""
        return {"host_certificates": host_certificates}
