# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Validation of values that become part of a path, a configuration file or a command."""

from __future__ import annotations

import ipaddress
import re
from functools import partial

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import UUID

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
OPTION_NAME = re.compile(r"[A-Za-z0-9+-]{1,64}")
# dnsmasq reads a quotation mark, and a number sign after a space, as its own syntax.
OPTION_VALUE = re.compile(r"(?!.* #)([!#-~]([ !#-~]{0,253}[!#-~])?)?")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def uuid(text):
    """Return a UUID in its canonical form; raise ItemError if it is invalid."""
    return _match(UUID, text, "a UUID in canonical form")


def mac(text):
    """Return a MAC address in lower case; raise ItemError if it is invalid."""
    return _match(MAC, text.lower(), "a MAC address")


def dns_name(text):
    """Return a host or domain name; raise ItemError if it is invalid."""
    return _match(NAME, text, "a DNS name")


def option_name(text):
    """Return the name or the code of a DHCP option; raise ItemError if it is invalid."""
    return _match(OPTION_NAME, text, "a name of a DHCP option")


def option_value(text):
    """Return the value of a DHCP option, maybe empty; raise ItemError if it is invalid."""
    return _match(OPTION_VALUE, text, "a value of a DHCP option")


def address(text):
    """Return an IP address; raise ItemError if it is invalid."""
    return _parse(ipaddress.ip_address, text)


def network(text, strict=True):
    """Return an IP network; raise ItemError if it is invalid, or has host bits and is *strict*."""
    return _parse(partial(ipaddress.ip_network, strict=strict), text)


def interface(text):
    """Return an IP address with its network, such as 10.0.0.1/24; raise ItemError if it is invalid."""
    return _parse(ipaddress.ip_interface, text)


def _match(pattern, text, what):
    if not pattern.fullmatch(text):
        raise ItemError(f"{text!r} is not {what}")
    return text


def _parse(kind, text):
    try:
        return kind(text)
    except ValueError as error:
        raise ItemError(str(error)) from error
