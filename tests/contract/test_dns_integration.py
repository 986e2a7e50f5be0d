"""Names of ports and domains of networks, with Neutron's rules; servers give their ports names, as Nova does."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.network_helpers import request

LONG = ("y" * 63 + ".") * 3


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture
def network(api: Api, demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="private")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24")
    yield network
    run_jobs(api.cloud)
    for port in demo.network.ports(network_id=network.id):
        if port.device_owner != "network:dhcp":
            demo.network.delete_port(port)
    demo.network.delete_network(network)


def assigned(port: Any) -> list[tuple[str, str]]:
    return [(entry["hostname"], entry["fqdn"]) for entry in port.dns_assignment]


def message(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["NeutronError"]["message"]


def test_the_extensions_are_listed(demo: Connection) -> None:
    for alias, name in (("dns-integration", "DNS Integration"), ("dns-domain-ports", "dns_domain for ports")):
        assert demo.network.find_extension(alias, ignore_missing=False).name == name


def test_names_without_domains(demo: Connection, network: Any) -> None:
    assert network.dns_domain == ""
    port = demo.network.create_port(network_id=network.id, fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert (port.dns_name, port.dns_domain) == ("", "")
    assert port.dns_assignment == [
        {"ip_address": "10.1.0.9", "hostname": "host-10-1-0-9", "fqdn": "host-10-1-0-9.skywright.internal."}
    ]
    named = demo.network.update_port(port, dns_name="Web")
    assert named.dns_name == "web" and assigned(named) == [("web", "web.skywright.internal.")]
    qualified = demo.network.update_port(port, dns_name="db.skywright.internal.")
    assert assigned(qualified) == [("db.skywright.internal.", "db.skywright.internal.")]
    assert assigned(demo.network.update_port(port, dns_name="")) == [
        ("host-10-1-0-9", "host-10-1-0-9.skywright.internal.")
    ]


def test_names_with_domains(demo: Connection, network: Any) -> None:
    port = demo.network.create_port(network_id=network.id, dns_name="web")
    changed = demo.network.update_network(network, dns_domain="Example.org.")
    assert changed.dns_domain == demo.network.get_network(network).dns_domain == "example.org."
    assert assigned(demo.network.get_port(port)) == [("web", "web.example.org.")]
    own = demo.network.update_port(port, dns_domain="own.net.")
    assert own.dns_domain == "own.net." and assigned(own) == [("web", "web.own.net.")]
    (listed,) = demo.network.ports(network_id=network.id)
    assert (listed.dns_name, listed.dns_domain, assigned(listed)) == ("web", "own.net.", assigned(own))


REASON = "Invalid input for {}. Reason: {}."
FORMAT = "'{}' not a valid PQDN or FQDN. Reason: {}"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"dns_name": "a..b"}, REASON.format("dns_name", FORMAT.format("a..b", "Encountered an empty component"))),
        ({"dns_name": "a.1"}, REASON.format("dns_name", FORMAT.format("a.1", "TLD '1' must not be all numeric"))),
        ({"dns_domain": "a.b"}, REASON.format("dns_domain", "'a.b' is not a FQDN")),
        ({"dns_name": 1}, REASON.format("dns_name", "1 is not a valid string")),
    ],
)
def test_invalid_names_are_refused(demo: Connection, network: Any, values: dict[str, Any], text: str) -> None:
    port = demo.network.create_port(network_id=network.id)
    body = {"port": {"network_id": network.id, **values}}
    assert message(request(demo, "POST", "/ports", body)) == (400, text)
    assert message(request(demo, "PUT", f"/ports/{port.id}", {"port": values})) == (400, text)


def test_assignments_cannot_be_set(demo: Connection, network: Any) -> None:
    port = demo.network.create_port(network_id=network.id)
    values: dict[str, Any] = {"dns_assignment": []}
    answer = request(demo, "POST", "/ports", {"port": {"network_id": network.id, **values}})
    assert message(answer) == (400, "Attribute 'dns_assignment' not allowed in POST")
    answer = request(demo, "PUT", f"/ports/{port.id}", {"port": values})
    assert message(answer) == (400, "Cannot update read-only attribute dns_assignment")


def test_a_domain_must_fit_the_names_of_all_ports(demo: Connection, network: Any) -> None:
    port = demo.network.create_port(network_id=network.id, dns_name="x" * 63)
    answer = request(demo, "PUT", f"/networks/{network.id}", {"network": {"dns_domain": LONG}})
    assert answer.status_code == 400 and "exceeds the 255 character FQDN limit" in message(answer)[1]
    demo.network.update_port(port, dns_name="web")
    assert demo.network.update_network(network, dns_domain=LONG).dns_domain == LONG


def test_a_new_domain_is_one_job_of_the_network(api: Api, demo: Connection, fixtures: Fixtures, network: Any) -> None:
    nova = Nova(demo, api.url)
    identifier = nova("POST", "/servers", fixtures.body("web", networks=[{"uuid": network.id}])).json()["server"]["id"]
    run_jobs(api.cloud)
    demo.network.update_network(network, dns_domain="example.org.")
    demo.network.update_network(network, dns_domain="example.org.")
    (work,) = run_jobs(api.cloud)
    (item,) = work.items["h1"]["networks"]
    assert item["dhcp"]["dns_domain"] == "example.org"
    (entry,) = item["dhcp"]["hosts"]
    assert entry["hostname"] == "web" and entry["names"][0]["names"] == ["web.example.org", "web"]
    nova("DELETE", f"/servers/{identifier}")


def test_servers_give_their_ports_names(api: Api, demo: Connection, fixtures: Fixtures, network: Any) -> None:
    nova = Nova(demo, api.url)
    own = demo.network.create_port(network_id=network.id)
    body = fixtures.body("My Server", networks=[{"uuid": network.id}, {"port": own.id}])
    identifier = nova("POST", "/servers", body).json()["server"]["id"]
    ports = list(demo.network.ports(device_id=identifier))
    assert [port.dns_name for port in ports] == ["my-server"] * 2
    run_jobs(api.cloud)
    nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)
    assert demo.network.get_port(own).dns_name == ""


def test_a_port_with_another_name_is_refused(api: Api, demo: Connection, fixtures: Fixtures, network: Any) -> None:
    nova = Nova(demo, api.url)
    own = demo.network.create_port(network_id=network.id, dns_name="db")
    answer = nova("POST", "/servers", fixtures.body("web", networks=[{"port": own.id}]))
    text = "Value db assigned to dns_name attribute does not match instance's hostname web"
    assert answer.status_code == 400 and text in answer.text
    assert nova("POST", "/servers", fixtures.body("db", networks=[{"port": own.id}])).status_code == 202
    run_jobs(api.cloud)
    nova("DELETE", f"/servers/{demo.network.get_port(own).device_id}")
    run_jobs(api.cloud)


def test_names_are_no_filters(demo: Connection) -> None:
    for path in ("/ports?dns_name=web", "/ports?dns_domain=a.", "/networks?dns_domain=a."):
        assert request(demo, "GET", path).status_code == 400
