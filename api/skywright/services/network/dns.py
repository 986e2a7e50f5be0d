"""Names of ports in the DNS of their network.

The rules and messages are those of neutron-lib's validators (RFC 1123, RFC 1034). Names are in lower case.
"""

import re
from typing import Any

from skywright.errors import BadRequest
from skywright.services.network.tables import Network, Port

CLOUD_DOMAIN = "skywright.internal."
LONGEST = 255  # a fully qualified name, with its last dot
LABEL = re.compile("[a-z0-9-]{1,63}")


def checked(name: str) -> str:
    """Return *name* in lower case; raise ValueError if it is neither empty nor a DNS name, qualified or not."""
    name = name.lower()
    reason = _mistake(name.removesuffix(".")) if name else None
    if reason:
        raise ValueError(f"'{name}' not a valid PQDN or FQDN. Reason: {reason}")
    return name


def checked_name(name: str) -> str:
    """Return the `dns_name` of a port; raise ValueError if it is not valid.

    A fully qualified one ends with the cloud's domain, as in Neutron.
    """
    name = checked(name)
    if name.endswith(".") and not name.endswith(f".{CLOUD_DOMAIN}"):
        raise ValueError(
            "The dns_name passed is a FQDN. Its higher level labels must be equal to the domain of this cloud, "
            f"'{CLOUD_DOMAIN}'. It must also include one or more valid DNS labels to the left of it"
        )
    return name


def checked_domain(domain: str) -> str:
    """Return the `dns_domain` of a network or port; raise ValueError if it is neither empty nor fully qualified."""
    if domain and not domain.endswith("."):
        raise ValueError(f"'{domain}' is not a FQDN")
    domain = checked(domain)
    if len(domain) > LONGEST - 2:
        raise ValueError(
            f"'{domain}' contains {len(domain)} characters. Adding a sub-domain will cause it to exceed the maximum "
            f"length of a FQDN of '{LONGEST}'"
        )
    return domain


def check_length(name: str, domain: str) -> None:
    """Raise BadRequest if *name*, completed with *domain*, is too long for a fully qualified name."""
    if len(_qualified(name, domain)) > LONGEST:
        text = f"The dns_name '{name}' with the dns_domain '{domain}' exceeds the {LONGEST} character FQDN limit."
        raise BadRequest(text, kind="InvalidInput")


def name_of_server(hostname: str, network: Network, port: Port | None = None) -> str:
    """Return the `dns_name` that a server with *hostname* gives its *port* on *network*, a new one by default.

    Raises BadRequest if that is no DNS name, or if the port has another name.
    """
    try:
        name = checked_name(hostname)
    except ValueError as error:
        raise BadRequest(f"Invalid input for dns_name. Reason: {error}.") from error
    check_length(name, domain_of(network, port))
    if port and port.dns_name not in {"", name}:
        raise BadRequest(
            f"Port {port.id} not usable for the instance. Value {port.dns_name} assigned to dns_name attribute does "
            f"not match instance's hostname {hostname}"
        )
    return name


def domain_of(network: Network, port: Port | None = None) -> str:
    """Return the domain of names in *network*, or of *port* there."""
    return (port.dns_domain if port else "") or network.dns_domain or CLOUD_DOMAIN


def assignment(port: Port, network: Network) -> list[dict[str, Any]]:
    """Return the `dns_assignment` of *port*: [{"ip_address", "hostname", "fqdn"}]."""
    found = []
    for address in port.addresses:
        name = port.dns_name or "host-" + re.sub("[.:]", "-", address.ip_address)
        fqdn = _qualified(name, domain_of(network, port))
        found.append({"ip_address": address.ip_address, "hostname": name, "fqdn": fqdn})
    return found


def _qualified(name: str, domain: str) -> str:
    return name if name.endswith(".") else f"{name}.{domain}"


def _mistake(name: str) -> str | None:
    """Return what is wrong with *name*, which has no dot at its end."""
    if len(name) > LONGEST:
        return f"'{name}' exceeds the {LONGEST} character FQDN limit"
    labels = name.split(".")
    for label in labels:
        if not label:
            return "Encountered an empty component"
        if label.startswith("-") or label.endswith("-"):
            return f"Name '{label}' must not start or end with a hyphen"
        if not LABEL.fullmatch(label):
            return f"Name '{label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
    if len(labels) > 1 and labels[-1].isdigit():
        return f"TLD '{labels[-1]}' must not be all numeric"
    return None
