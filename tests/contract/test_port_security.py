"""Port security and allowed address pairs, with Neutron's defaults, rules and messages."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from openstack.exceptions import ConflictException

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.network_helpers import request

PAIR = {"ip_address": "10.1.0.99", "mac_address": "fa:16:3e:00:00:99"}


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture
def network(demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="private")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24")
    yield network
    for port in demo.network.ports(network_id=network.id):
        if port.device_owner != "network:dhcp":
            demo.network.delete_port(port)
    demo.network.delete_network(network)


@pytest.fixture
def port(demo: Connection, network: Any) -> Any:
    return demo.network.create_port(network_id=network.id)


def create(connection: Connection, network: Any, **values: Any) -> Any:
    return request(connection, "POST", "/ports", {"port": {"network_id": network.id, **values}})


def error(answer: Any) -> tuple[int, str, str]:
    found = answer.json()["NeutronError"]
    return answer.status_code, found["type"], found["message"]


def test_the_extensions_are_listed(demo: Connection) -> None:
    for alias, name in (("port-security", "Port Security"), ("allowed-address-pairs", "Allowed Address Pairs")):
        assert demo.network.find_extension(alias, ignore_missing=False).name == name


def test_a_port_has_the_port_security_of_its_network(demo: Connection, network: Any) -> None:
    assert network.is_port_security_enabled is True
    first = demo.network.create_port(network_id=network.id)
    assert (first.is_port_security_enabled, first.allowed_address_pairs) == (True, [])
    changed = demo.network.update_network(network, is_port_security_enabled=False)
    assert changed.is_port_security_enabled is False
    assert demo.network.create_port(network_id=network.id).is_port_security_enabled is False
    own = demo.network.create_port(network_id=network.id, is_port_security_enabled=True)
    assert own.is_port_security_enabled is True
    assert demo.network.get_port(first).is_port_security_enabled is True, "ports that exist keep theirs"


def test_a_network_without_port_security(demo: Connection) -> None:
    network = demo.network.create_network(name="open", is_port_security_enabled=False)
    assert demo.network.get_network(network).is_port_security_enabled is False
    assert demo.network.create_port(network_id=network.id, is_port_security_enabled=False).is_port_security_enabled is (
        False
    )
    for port in demo.network.ports(network_id=network.id):
        demo.network.delete_port(port)
    demo.network.delete_network(network)


def test_pairs_keep_their_notation(demo: Connection, network: Any) -> None:
    pairs = [
        {"ip_address": "10.1.0.0/25", "mac_address": "FA-16-3E-00-00-AA"},
        {"ip_address": "2001:DB8::1", "mac_address": "fa:16:3e:00:00:01"},
        {"ip_address": "2001:db8::/64", "mac_address": "fa:16:3e:00:00:01"},
        {"ip_address": "0.0.0.0/0", "mac_address": "fa:16:3e:00:00:01"},
    ]
    port = demo.network.create_port(network_id=network.id, allowed_address_pairs=pairs)
    assert port.allowed_address_pairs == demo.network.get_port(port).allowed_address_pairs == pairs
    assert demo.network.update_port(port, name="new").allowed_address_pairs == pairs
    assert demo.network.update_port(port, allowed_address_pairs=[PAIR]).allowed_address_pairs == [PAIR]
    assert demo.network.update_port(port, allowed_address_pairs=[]).allowed_address_pairs == []


def test_the_default_mac_address_is_the_ports(admin: Connection, demo: Connection, network: Any) -> None:
    port = demo.network.create_port(network_id=network.id, allowed_address_pairs=[{"ip_address": "10.1.0.9"}])
    default = {"ip_address": "10.1.0.9", "mac_address": port.mac_address}
    assert port.allowed_address_pairs == [default]
    pairs = [{"ip_address": "10.1.0.8"}]
    changed = admin.network.update_port(port, mac_address="fa:16:3e:00:00:aa", allowed_address_pairs=pairs)
    assert changed.allowed_address_pairs == [{"ip_address": "10.1.0.8", "mac_address": "fa:16:3e:00:00:aa"}]


SAME = "Request contains duplicate address pair: mac_address {mac} ip_address {ip}."
REASON = "Invalid input for allowed_address_pairs. Reason: {}."
REFUSED = [
    ([PAIR, PAIR], "DuplicateAddressPairInRequest", SAME.format(mac=PAIR["mac_address"], ip="10.1.0.99")),
    (
        [PAIR, PAIR | {"mac_address": "FA-16-3E-00-00-99"}],
        "DuplicateAddressPairInRequest",
        SAME.format(mac="FA-16-3E-00-00-99", ip="10.1.0.99"),
    ),
    (
        [PAIR, PAIR | {"mac_address": "fa16.3e00.0099"}],
        "DuplicateAddressPairInRequest",
        SAME.format(mac="fa16.3e00.0099", ip="10.1.0.99"),
    ),
    (
        [{"ip_address": f"10.1.0.{number}"} for number in range(11)],
        "AllowedAddressPairExhausted",
        "The number of allowed address pair exceeds the maximum 10.",
    ),
    (
        [{"mac_address": "fa:16:3e:00:00:01"}],
        "AllowedAddressPairsMissingIP",
        "AllowedAddressPair must contain ip_address",
    ),
    ([{"ip_address": "10.1.0.300"}], "HTTPBadRequest", REASON.format("'10.1.0.300' is not a valid IP address")),
    ([{"ip_address": "010.1.0.3"}], "HTTPBadRequest", REASON.format("'010.1.0.3' is not a valid IP address")),
    ([{"ip_address": "10.1.0.0/33"}], "HTTPBadRequest", REASON.format("'10.1.0.0/33' is not a valid IP subnet")),
    (
        [{"ip_address": "10.1.0.0/255.255.255.0"}],
        "HTTPBadRequest",
        REASON.format("'10.1.0.0/255.255.255.0' is not a valid IP subnet"),
    ),
    (
        [PAIR | {"mac_address": "fa:16"}],
        "HTTPBadRequest",
        REASON.format("'fa:16' is not a valid MAC address"),
    ),
    (
        [PAIR | {"mac_address": "01:00:5e:00:00:01"}],
        "HTTPBadRequest",
        REASON.format("'01:00:5e:00:00:01' is not a valid MAC address"),
    ),
    (
        [{"ip_address": "224.0.0.1"}],
        "HTTPBadRequest",
        REASON.format("IP 224.0.0.1 is a multicast address, which is not supported"),
    ),
    (
        [{"ip_address": "ff02::/16"}],
        "HTTPBadRequest",
        REASON.format("Subnet ff02::/16 overlaps with multicast range ff00::/8, which is not supported"),
    ),
    (
        [{"ip_address": "192.0.0.0/2"}],
        "HTTPBadRequest",
        REASON.format("Subnet 192.0.0.0/2 overlaps with multicast range 224.0.0.0/4, which is not supported"),
    ),
    ([PAIR | {"port": 5}], "HTTPBadRequest", REASON.format("Unexpected keys supplied: 'port'")),
    (["10.1.0.9"], "HTTPBadRequest", REASON.format("'10.1.0.9' is not a dictionary")),
    ({"ip_address": "10.1.0.9"}, "HTTPBadRequest", REASON.format("{'ip_address': '10.1.0.9'} is not a list")),
]


@pytest.mark.parametrize(("pairs", "kind", "message"), REFUSED)
def test_invalid_pairs_are_refused(  # noqa: PLR0917
    demo: Connection, network: Any, port: Any, pairs: Any, kind: str, message: str
) -> None:
    assert error(create(demo, network, allowed_address_pairs=pairs)) == (400, kind, message)
    answer = request(demo, "PUT", f"/ports/{port.id}", {"port": {"allowed_address_pairs": pairs}})
    assert error(answer) == (400, kind, message)
    (only,) = demo.network.ports(network_id=network.id)
    assert only.allowed_address_pairs == []


def test_the_default_may_make_a_duplicate(demo: Connection, port: Any) -> None:
    pairs = [{"ip_address": "10.1.0.9"}, {"ip_address": "10.1.0.9", "mac_address": port.mac_address}]
    answer = request(demo, "PUT", f"/ports/{port.id}", {"port": {"allowed_address_pairs": pairs}})
    text = SAME.format(mac=port.mac_address, ip="10.1.0.9")
    assert error(answer) == (400, "DuplicateAddressPairInRequest", text)


def test_null_means_no_pairs(demo: Connection, port: Any) -> None:
    demo.network.update_port(port, allowed_address_pairs=[PAIR])
    answer = request(demo, "PUT", f"/ports/{port.id}", {"port": {"allowed_address_pairs": None}})
    assert answer.json()["port"]["allowed_address_pairs"] == []


NEEDED = (
    409,
    "AddressPairAndPortSecurityRequired",
    "Port Security must be enabled in order to have allowed address pairs on a port.",
)


def test_pairs_need_port_security(demo: Connection, network: Any, port: Any) -> None:
    off = {"port_security_enabled": False}
    assert error(create(demo, network, allowed_address_pairs=[PAIR], **off)) == NEEDED
    assert create(demo, network, allowed_address_pairs=[], **off).status_code == 201
    demo.network.update_network(network, is_port_security_enabled=False)
    assert error(create(demo, network, allowed_address_pairs=[PAIR])) == NEEDED

    def change(**values: Any) -> Any:
        return request(demo, "PUT", f"/ports/{port.id}", {"port": values})

    assert change(allowed_address_pairs=[PAIR]).status_code == 200
    assert error(change(**off)) == NEEDED
    assert error(change(allowed_address_pairs=[PAIR], **off)) == NEEDED
    assert demo.network.get_port(port).is_port_security_enabled is True
    assert change(allowed_address_pairs=[], **off).status_code == 200
    assert error(change(allowed_address_pairs=[PAIR])) == NEEDED
    with pytest.raises(ConflictException, match="Port Security must be enabled"):
        demo.network.update_port(port.id, allowed_address_pairs=[PAIR])
    assert change(allowed_address_pairs=[PAIR], port_security_enabled=True).status_code == 200


def test_neither_is_a_filter(demo: Connection) -> None:
    """Neutron's attribute maps say so, and its extension `filter-validation` refuses other filters."""
    for path in (
        "/networks?port_security_enabled=true",
        "/ports?port_security_enabled=true",
        "/ports?allowed_address_pairs=ip_address%3D10.1.0.9",
    ):
        assert request(demo, "GET", path).status_code == 400


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ({"port_security_enabled": False}, "rule:{}:port_security_enabled"),
        ({"port_security_enabled": True}, "rule:{}:port_security_enabled"),
        ({"allowed_address_pairs": []}, "rule:{}:allowed_address_pairs"),
        (
            {"allowed_address_pairs": [PAIR]},
            "(rule:{0}:allowed_address_pairs and (rule:{0}:allowed_address_pairs:mac_address"
            " and rule:{0}:allowed_address_pairs:ip_address))",
        ),
    ],
)
def test_only_owners_of_the_network_set_them(
    admin: Connection, demo: Connection, values: dict[str, Any], rules: str
) -> None:
    network = admin.network.create_network(name="shared", is_shared=True)
    port = demo.network.create_port(network_id=network.id)
    refused = create(demo, network, **values)
    assert error(refused)[:2] == (403, "PolicyNotAuthorized")
    assert rules.format("create_port") in error(refused)[2]
    refused = request(demo, "PUT", f"/ports/{port.id}", {"port": values})
    assert error(refused)[:2] == (403, "PolicyNotAuthorized")
    assert rules.format("update_port") in error(refused)[2]
    assert request(admin, "PUT", f"/ports/{port.id}", {"port": values}).status_code == 200
    demo.network.delete_port(port)
    admin.network.delete_network(network)


@pytest.fixture
def server(api: Api, demo: Connection, fixtures: Fixtures, network: Any) -> Iterator[str]:
    """The id of a server on a host, with a port on *network*."""
    nova = Nova(demo, api.url)
    body = fixtures.body("there", networks=[{"uuid": network.id}])
    identifier = nova("POST", "/servers", body).json()["server"]["id"]
    run_jobs(api.cloud)
    yield str(identifier)
    nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)


def test_new_servers_have_port_security(api: Api, admin: Connection, network: Any, server: str) -> None:
    (port,) = admin.network.ports(device_id=server)
    assert port.is_port_security_enabled is True
    assert port.binding_vif_details["port_filter"] is True
    (dhcp,) = admin.network.ports(network_id=network.id, device_owner="network:dhcp")
    assert (dhcp.is_port_security_enabled, dhcp.binding_vif_details["port_filter"]) == (False, False)
    answer = request(admin, "PUT", f"/ports/{dhcp.id}", {"port": {"port_security_enabled": True}})
    assert error(answer)[:2] == (409, "PortInUse")


CHANGES = [
    ({"port_security_enabled": False}, {"port_security_enabled": False}),
    ({"allowed_address_pairs": [PAIR]}, {"allowed_address_pairs": [PAIR]}),
    ({"fixed_ips": [{"ip_address": "10.1.0.77"}]}, {"addresses": ["10.1.0.77"]}),
]


@pytest.mark.parametrize(("values", "expected"), CHANGES)
def test_one_job_brings_a_change_to_the_host(
    api: Api, demo: Connection, server: str, values: dict[str, Any], expected: dict[str, Any]
) -> None:
    (port,) = demo.network.ports(device_id=server)
    old = {
        "port_security_enabled": True,
        "allowed_address_pairs": [],
        "addresses": [port.fixed_ips[0]["ip_address"]],
    }
    for body in (values, values, {"name": "new"}):
        assert request(demo, "PUT", f"/ports/{port.id}", {"port": body}).status_code == 200
    (work,) = run_jobs(api.cloud)
    (item,) = work.items["h1"]["networks"]
    (entry,) = item["ports"]
    assert {name: entry[name] for name in old} == old | expected
    (served,) = item["dhcp"]["hosts"]
    assert (entry["id"], served["id"], served["addresses"]) == (port.id, port.id, entry["addresses"])
    assert run_jobs(api.cloud) == [], "one job, and none for the same values or the name"
