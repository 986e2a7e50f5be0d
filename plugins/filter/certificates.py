# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of the cloud's own CA, with their names and addresses."""

from __future__ import annotations

import ipaddress

from ansible.errors import AnsibleFilterError

SERVICE = "service"


def host_certificates(hosts, hostvars, service=()):
    """Return the certificates of the hosts, for all their names and addresses, and that of the virtual address."""
    if SERVICE in hosts:
        raise AnsibleFilterError(f"no host may be named {SERVICE}, as the certificate of the virtual address is")
    wanted = {host: [host, *_aliases(host, hostvars[host], service)] for host in hosts}
    if service:
        wanted[SERVICE] = service
    return [_certificate(name, alternatives) for name, alternatives in wanted.items()]


def _aliases(host, variables, service):
    # HAProxy forwards connections to the database, so its clients see the host's certificate at the virtual address.
    also = service if "controllers" in variables.get("group_names", []) else []
    return [variables.get("ansible_host", host), *variables.get("certificates_aliases", []), *also]


def _certificate(name, alternatives):
    addresses = [text for text in alternatives if _is_address(text)]
    return {
        "id": str(name),
        "names": sorted({str(text) for text in alternatives} - set(addresses)),
        "addresses": sorted(set(addresses)),
        # HAProxy reads the certificate and the key from one file.
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
        """Return the filter."""
        return {"host_certificates": host_certificates}
