"""Filters of the network service's lists: every shown attribute, as in Neutron."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import add_hosts
from contract.conftest import Api
from contract.filter_helpers import BOTH, NONE, OLD, SHOWN, A, Ask, B, Rows, parameters
from skywright.services.network.address_scopes import SCOPES
from skywright.services.network.networks import NETWORKS
from skywright.services.network.ports import PORTS
from skywright.services.network.rbac_policies import POLICIES
from skywright.services.network.resource import Resource
from skywright.services.network.segment_ranges import RANGES
from skywright.services.network.subnetpools import POOLS
from skywright.services.network.subnets import SUBNETS

RESOURCES: tuple[Resource[Any], ...] = (NETWORKS, SUBNETS, PORTS, POOLS, SCOPES, POLICIES, RANGES)


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return Ask(api, admin)


@pytest.fixture(scope="module")
def network_rows(api: Api) -> Iterator[dict[str, Rows]]:
    rows: dict[str, tuple[str, str]] = {}
    add_hosts(api.cloud, "host1")
    with api.connect() as admin:
        client = admin.network
        networks = [
            client.create_network(name="net-a", description="A", is_shared=True, mtu=1400, is_admin_state_up=False),
            client.create_network(name="net-b"),
        ]
        a, b = networks
        rows["networks"] = (a.id, b.id)
        pools = [
            client.create_subnet_pool(name="pool-a", description="A", prefixes=["10.1.0.0/16"], is_shared=True,
                                      default_quota=70000, default_prefix_length=25, minimum_prefix_length=24,
                                      maximum_prefix_length=26, is_default=True),
            client.create_subnet_pool(name="pool-b", prefixes=["fd00::/48"]),
        ]  # fmt: skip
        scopes = [client.create_address_scope(name=f"scope-{name}", ip_version=version, is_shared=version == 4)
                  for name, version in (("a", 4), ("b", 6))]  # fmt: skip
        client.update_subnet_pool(pools[0], address_scope_id=scopes[0].id)
        rows["subnetpools"] = (pools[0].id, pools[1].id)
        subnets = [
            client.create_subnet(network_id=a.id, name="subnet-a", description="A", subnet_pool_id=pools[0].id,
                                 ip_version=4),
            client.create_subnet(network_id=b.id, name="subnet-b", cidr="fd01::/64", ip_version=6, gateway_ip="fd01::9",
                                 is_dhcp_enabled=False),
        ]  # fmt: skip
        rows["subnets"] = (subnets[0].id, subnets[1].id)
        ports = [
            client.create_port(network_id=a.id, name="port-a", description="A", is_admin_state_up=False,
                               device_id="device", device_owner="me", binding_host_id="host1",
                               mac_address="fa:16:3e:00:00:aa"),
            client.create_port(network_id=b.id, name="port-b"),
        ]  # fmt: skip
        rows["ports"] = (ports[0].id, ports[1].id)
        private = {"shared": False, "minimum": 5, "maximum": 6}
        ranges = [
            client.create_network_segment_range(name="range-a", description="A", network_type="vxlan", **private),
            client.create_network_segment_range(name="range-b", network_type="vlan", physical_network="physnet9",
                                                **private),
        ]  # fmt: skip
        rows["network_segment_ranges"] = (ranges[0].id, ranges[1].id)
        for kind, (identifier, other) in rows.items():
            assert client.put(f"/{kind}/{identifier}/tags", json={"tags": ["x", "y"]}).status_code == 200
            assert client.put(f"/{kind}/{other}/tags", json={"tags": ["y"]}).status_code == 200
        rows["address-scopes"] = (scopes[0].id, scopes[1].id)
        rows["rbac-policies"] = tuple(next(client.rbac_policies(object_id=row.id)).id for row in (a, pools[0]))
        names = {
            "network": a.id,
            "scope": scopes[0].id,
            "subnet": subnets[0].id,
            "pool": pools[0].id,
            "ip": ports[0].fixed_ips[0]["ip_address"],
            "project": admin.current_project_id,
            "segment": str(a.provider_segmentation_id),
        }
    with api.cloud.database.write() as session:
        changed: tuple[Resource[Any], ...] = (NETWORKS, SUBNETS, PORTS, POOLS, RANGES)
        for resource in changed:
            row = session.get_one(resource.model, rows[resource.collection][0])
            row.created_at = row.updated_at = OLD
            row.revision_number = 77
    yield {kind: Rows(one, other, names | {"a": one}) for kind, (one, other) in rows.items()}


STANDARD = [
    ("id=<a>", A),
    ("id=nothing", NONE),
    ("description=A", A),
    ("description=", B),
    ("project_id=<project>", BOTH),
    ("tenant_id=nobody", NONE),
    ("revision_number=77", A),
    (f"created_at={SHOWN}", A),
    (f"updated_at={SHOWN}", A),
    ("changed_since=2025-01-01T00:00:00", B),
    ("tags=x,y", A),
    ("tags-any=x", A),
    ("not-tags=x", B),
    ("not-tags-any=x,y", NONE),
]
NEUTRON = {
    "networks": [
        ("name=net-a", A),
        ("name=net-a&name=net-b", BOTH),
        ("status=ACTIVE", BOTH),
        ("status=DOWN", NONE),
        ("admin_state_up=False", A),
        ("admin_state_up=1", B),
        ("shared=true", A),
        ("mtu=1400", A),
        ("provider:network_type=vxlan", BOTH),
        ("provider:network_type=flat", NONE),
        ("provider:physical_network=physnet1", NONE),
        ("provider:segmentation_id=<segment>", A),
        ("router:external=False", BOTH),
        ("router:external=true", NONE),
        ("is_default=true", NONE),
    ],
    "subnets": [
        ("name=subnet-b", B),
        ("network_id=<network>", A),
        ("subnetpool_id=<pool>", A),
        ("ip_version=6", B),
        ("cidr=10.1.0.0/25", A),
        ("gateway_ip=10.1.0.1", A),
        ("enable_dhcp=false", B),
        ("shared=True", A),
        ("shared=False", B),
        ("ipv6_ra_mode=slaac", NONE),
        ("ipv6_address_mode=slaac", NONE),
        ("router:external=False", BOTH),
        ("router:external=True", NONE),
    ],
    "ports": [
        ("name=port-a", A),
        ("network_id=<network>", A),
        ("mac_address=fa:16:3e:00:00:aa", A),
        ("mac_address=FA-16-3E-00-00-AA", A),
        ("mac_address=fa16.3e00.00aa", A),
        ("mac_address=x", NONE),
        ("admin_state_up=false", A),
        ("status=DOWN", BOTH),
        ("status=ACTIVE", NONE),
        ("device_id=device", A),
        ("device_owner=me", A),
        ("device_owner=", B),
        ("binding:host_id=host1", A),
        ("binding:vnic_type=normal", BOTH),
        ("binding:vnic_type=direct", NONE),
        ("binding:vif_type=ovs", A),
        ("binding:vif_type=unbound", B),
        ("binding:vif_type=binding_failed", NONE),
        ("binding:vif_type=binding_failed&binding:vif_type=unbound", B),
        ("binding:vif_type=hyperv", NONE),
        ("fixed_ips=ip_address=<ip>", A),
        ("fixed_ips=subnet_id=<subnet>", A),
        ("fixed_ips=ip_address_substr=fd01", B),
        ("fixed_ips=ip_address=<ip>&fixed_ips=subnet_id=nothing", NONE),
        ("security_groups=x", NONE),
    ],
    "subnetpools": [
        ("name=pool-a", A),
        ("ip_version=4", A),
        ("default_quota=70000", A),
        ("shared=true", A),
        ("is_default=false", B),
        ("min_prefixlen=24", A),
        ("default_prefixlen=25", A),
        ("max_prefixlen=26", A),
        ("address_scope_id=<scope>", A),
    ],
    "network_segment_ranges": [
        ("name=range-a", A),
        ("network_type=vxlan", A),
        ("physical_network=physnet9", B),
        ("physical_network=", A),
    ],
}
# Resources without the standard attributes.
PLAIN = {
    "address-scopes": [
        ("id=<a>", A),
        ("name=scope-b", B),
        ("ip_version=6", B),
        ("shared=true", A),
        ("shared=false", B),
        ("project_id=<project>", BOTH),
        ("tenant_id=nobody", NONE),
    ],
    "rbac-policies": [
        ("id=<a>", A),
        ("object_type=network", A),
        ("object_id=<pool>", B),
        ("target_tenant=*", BOTH),
        ("target_tenant=<project>", NONE),
        ("action=access_as_shared", BOTH),
        ("action=access_as_external", NONE),
        ("project_id=<project>", BOTH),
        ("tenant_id=nobody", NONE),
    ],
}
QUERIES = {kind: [*queries, *STANDARD] for kind, queries in NEUTRON.items()} | PLAIN
# Shown attributes that are not filters in Neutron either.
UNFILTERED = {
    "networks": {
        "subnets",
        "port_security_enabled",
        "dns_domain",
        "ipv4_address_scope",
        "ipv6_address_scope",
        "qos_policy_id",
    },
    "subnets": {"dns_nameservers", "allocation_pools", "host_routes"},
    "ports": {
        "binding:profile",
        "binding:vif_details",
        "port_security_enabled",
        "allowed_address_pairs",
        "extra_dhcp_opts",
        "dns_name",
        "dns_domain",
        "dns_assignment",
        "qos_policy_id",
        "qos_network_policy_id",
    },
    "subnetpools": {"prefixes"},
    "address-scopes": set(),
    "rbac-policies": set(),
    "network_segment_ranges": {"minimum", "maximum", "used", "available", "shared", "default"},
}


@pytest.mark.parametrize(
    ("kind", "query", "expected"),
    [(kind, *row) for kind, queries in QUERIES.items() for row in queries],
)
def test_neutron(ask: Ask, network_rows: dict[str, Rows], kind: str, query: str, expected: str) -> None:
    assert ask.found(f"networking/v2.0/{kind}", network_rows[kind], query) == expected


@pytest.mark.parametrize("kind", QUERIES)
def test_every_shown_attribute_is_tested(ask: Ask, network_rows: dict[str, Rows], kind: str) -> None:
    collection = kind.replace("-", "_")
    row, *_ = ask.get(f"networking/v2.0/{kind}").json()[collection]
    tried = parameters(QUERIES[kind])
    assert set(row) - UNFILTERED[kind] <= tried
    resource = {each.collection: each for each in RESOURCES}[collection]
    offered = {*resource.filters.columns, *resource.filters.specials, *resource.filters.constants}
    assert offered <= tried


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        *((kind, "tenant_id") for kind in NEUTRON),
        ("subnets", "ipv6_ra_mode"),
        ("subnets", "ipv6_address_mode"),
    ],
)
def test_sort_keys_of_neutron(ask: Ask, network_rows: dict[str, Rows], kind: str, key: str) -> None:
    """Both rows have equal values: the next sort key decides. Pages follow the same order."""
    path, rows = f"networking/v2.0/{kind}", network_rows[kind]
    query = f"id={rows.a}&id={rows.b}&sort_key={key}&sort_key=name&sort_dir=asc&sort_dir=desc"
    assert [row["id"] for row in ask.get(f"{path}?{query}").json()[kind]] == [rows.b, rows.a]
    first = ask.get(f"{path}?{query}&limit=1").json()
    assert [row["id"] for row in first[kind]] == [rows.b]
    link = next(link["href"] for link in first[f"{kind}_links"] if link["rel"] == "next")
    assert [row["id"] for row in ask.get(link.removeprefix(f"{ask.url}/")).json()[kind]] == [rows.a]


@pytest.mark.parametrize("kind", QUERIES)
def test_unknown_filters_are_refused(ask: Ask, kind: str) -> None:
    for name in {"nonsense", "sort", *UNFILTERED[kind]}:
        answer = ask.get(f"networking/v2.0/{kind}?{name}=x")
        assert answer.status_code == 400
        assert answer.json()["NeutronError"]["message"] == f"['{name}'] is invalid attribute for filtering"


@pytest.mark.parametrize(
    "query",
    [
        "admin_state_up=perhaps",
        "mtu=x",
        "created_at=yesterday",
        "changed_since=yesterday",
        "sort_key=nonsense",
        "router:external=perhaps",
    ],
)
def test_refused_queries_of_networks(ask: Ask, query: str) -> None:
    assert ask.get(f"networking/v2.0/networks?{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("network_id=<network>", A),
        ("network_name=net-b", B),
        ("project_id=<project>", BOTH),
        ("tenant_id=nobody", NONE),
        ("ip_version=4", A),
    ],
)
def test_address_availability(ask: Ask, network_rows: dict[str, Rows], query: str, expected: str) -> None:
    path, rows = "networking/v2.0/network-ip-availabilities", network_rows["networks"]
    assert ask.found(path, rows, query) == expected


def test_address_availability_of_one_ip_version(ask: Ask, network_rows: dict[str, Rows]) -> None:
    answer = ask.get("networking/v2.0/network-ip-availabilities?ip_version=4").json()
    subnets = [subnet for row in answer["network_ip_availabilities"] for subnet in row["subnet_ip_availability"]]
    assert subnets and {subnet["ip_version"] for subnet in subnets} == {4}
