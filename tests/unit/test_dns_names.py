"""The names of ports: neutron-lib's rules, and their assignment to addresses."""

import re

import pytest

from skywright.errors import BadRequest
from skywright.services.network import dns
from skywright.services.network.tables import Address, Network, Port


@pytest.mark.parametrize("name", ["", "web", "WEB", "web-1", "1", "a.b.c", "web.skywright.internal.", "x" * 63])
def test_names(name: str) -> None:
    assert dns.checked_name(name) == name.lower()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a..b", "Encountered an empty component"),
        (".", "Encountered an empty component"),
        ("-web", "Name '-web' must not start or end with a hyphen"),
        ("web-.a", "Name 'web-' must not start or end with a hyphen"),
        ("x" * 64, "must be 1-63 characters long"),
        ("a_b", "Name 'a_b' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"),
        ("web\n", "alphanumeric"),
        ("a.1", "TLD '1' must not be all numeric"),
        ("a." * 200 + "b", "exceeds the 255 character FQDN limit"),
        ("web.example.org.", "must be equal to the domain of this cloud, 'skywright.internal.'"),
        ("skywright.internal.", "must be equal to the domain of this cloud"),
    ],
)
def test_what_is_no_name(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        dns.checked_name(name)


@pytest.mark.parametrize("domain", ["", "example.org.", "Example.ORG."])
def test_domains(domain: str) -> None:
    assert dns.checked_domain(domain) == domain.lower()


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("example.org", "'example.org' is not a FQDN"),
        (".", "Encountered an empty component"),
        ("a b.", "alphanumeric"),
        (("x" * 49 + ".") * 5 + "abc.", "Adding a sub-domain will cause it to exceed the maximum length"),
    ],
)
def test_what_is_no_domain(domain: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        dns.checked_domain(domain)


def port(name: str, domain: str = "") -> Port:
    addresses = [Address(ip_address=ip) for ip in ("10.0.0.5", "fd00::5")]
    return Port(dns_name=name, dns_domain=domain, addresses=addresses)


@pytest.mark.parametrize(
    ("one", "domain", "expected"),
    [
        (port("web"), "", [("web", "web.skywright.internal.")] * 2),
        (port("web"), "example.org.", [("web", "web.example.org.")] * 2),
        (port("web", "own.net."), "example.org.", [("web", "web.own.net.")] * 2),
        (port("web.skywright.internal."), "example.org.", [("web.skywright.internal.", "web.skywright.internal.")] * 2),
        (
            port(""),
            "example.org.",
            [("host-10-0-0-5", "host-10-0-0-5.example.org."), ("host-fd00--5", "host-fd00--5.example.org.")],
        ),
    ],
)
def test_assignment(one: Port, domain: str, expected: list[tuple[str, str]]) -> None:
    found = dns.assignment(one, Network(dns_domain=domain))
    assert [entry["ip_address"] for entry in found] == ["10.0.0.5", "fd00::5"]
    assert [(entry["hostname"], entry["fqdn"]) for entry in found] == expected


def test_a_name_and_its_domain_may_be_too_long_together() -> None:
    dns.check_length("x" * 63, ("y" * 63 + ".") * 2 + "z" * 62 + ".")
    with pytest.raises(BadRequest, match="exceeds the 255 character FQDN limit"):
        dns.check_length("x" * 63, ("y" * 63 + ".") * 3)


def test_names_of_servers() -> None:
    network = Network(dns_domain="")
    assert dns.name_of_server("Web", network) == "web"
    assert dns.name_of_server("web", network, port("web")) == "web"
    with pytest.raises(BadRequest, match="Value db assigned to dns_name attribute does not match instance's hostname"):
        dns.name_of_server("web", network, Port(id="p", dns_name="db", dns_domain=""))
    with pytest.raises(BadRequest, match="TLD '1' must not be all numeric"):
        dns.name_of_server("web.1", network)
