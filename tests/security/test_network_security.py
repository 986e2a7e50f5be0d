"""Hostile input to the network service: it works as plain text or is refused, and nothing leaks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request

NAMES = [
    "{{ lookup('pipe','touch /tmp/skywright-pwned-network') }}",
    "$(touch /tmp/skywright-pwned-network)",
    '"><x>',
    "-rf",
    "../../../etc/passwd",
    "a\nb",
    "' OR 1=1 --",
    "ü" * 255,
    "😀" * 255,
    "",
]
KINDS = {
    "network": {},
    "subnetpool": {"prefixes": ["10.0.0.0/8"]},
    "address_scope": {"ip_version": 4},
}


def path(kind: str) -> str:
    return f"/{kind.replace('_', '-')}s"


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_stored_unchanged(demo: Connection, name: str) -> None:
    for kind, values in KINDS.items():
        texts = {"name": name} if kind == "address_scope" else {"name": name, "description": name}
        made = request(demo, "POST", path(kind), {kind: values | texts}).json()[kind]
        shown = request(demo, "GET", f"{path(kind)}/{made['id']}").json()[kind]
        assert shown.items() >= texts.items()
        found = request(demo, "GET", path(kind), params={"name": name}).json()[f"{kind}s"]
        assert made["id"] in {each["id"] for each in found}
        assert request(demo, "DELETE", f"{path(kind)}/{made['id']}").status_code == 204
    assert not Path("/tmp/skywright-pwned-network").exists()


@pytest.mark.parametrize("name", ["a" * 256, "nul\0", "\ud800", 5, ["x"], {"a": 1}, None, True])
def test_invalid_names_are_refused(demo: Connection, name: object) -> None:
    for kind, values in KINDS.items():
        assert request(demo, "POST", path(kind), {kind: {**values, "name": name}}).status_code == 400


@pytest.mark.parametrize("identifier", ["..%2f..", "%00", "'", "{{7*7}}", "x" * 300, "%ff%fe", "-1", "💥"])
def test_invalid_ids_are_not_found(demo: Connection, identifier: str) -> None:
    for kind in ("network", "subnet", "port", "subnetpool", "address_scope"):
        one = f"{path(kind)}/{identifier}"
        assert request(demo, "GET", one).status_code == 404
        assert request(demo, "DELETE", one).status_code == 404
        assert request(demo, "PUT", one, {kind: {"name": "x"}}).status_code == 404
    assert request(demo, "GET", f"/rbac-policies/{identifier}").status_code == 404
    assert request(demo, "DELETE", f"/rbac-policies/{identifier}").status_code == 404


@pytest.fixture
def network(demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="private")
    yield network
    demo.network.delete_network(network)


HUGE = 10**40


@pytest.mark.parametrize(
    "values",
    [
        {"cidr": "$(reboot)"},
        {"cidr": "10.0.0.0/24\n"},
        {"cidr": "10.0.0.0/999"},
        {"cidr": "1.2.3.4/0.0.0.256"},
        {"cidr": "::/0"},
        {"cidr": 10},
        {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1; reboot"},
        {"cidr": "10.0.0.0/24", "gateway_ip": "{{ 1 }}"},
        {"cidr": "10.0.0.0/24", "dns_nameservers": ["8.8.8.8\ndhcp-script=/bin/sh"]},
        {"cidr": "10.0.0.0/24", "dns_nameservers": ["8.8.8.8"] * 1000},
        {"cidr": "10.0.0.0/24", "dns_nameservers": "8.8.8.8"},
        {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "x", "nexthop": "y"}]},
        {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "10.0.0.0/8", "nexthop": "10.0.0.1", "x": 1}]},
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.2"}]},
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "::", "end": "10.0.0.9"}]},
        {"cidr": "10.0.0.0/24", "ip_version": HUGE},
        {"prefixlen": HUGE},
        {"subnetpool_id": "../x"},
    ],
)
def test_invalid_subnets_are_refused(demo: Connection, network: Any, values: dict[str, Any]) -> None:
    body = {"subnet": {"network_id": network.id, "ip_version": 4, **values}}
    answer = request(demo, "POST", "/subnets", body)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "values",
    [
        {"mac_address": "fa:16:3e:00:00:0g"},
        {"mac_address": "fa:16:3e:00:00:01\n"},
        {"mac_address": "fa:16:3e:00:00:01,set:x"},
        {"fixed_ips": [{"ip_address": "10.0.0.1,10.0.0.2"}]},
        {"fixed_ips": [{"ip_address": "0x0a000001"}]},
        {"fixed_ips": [{}]},
        {"fixed_ips": "10.0.0.1"},
        {"fixed_ips": [{"subnet_id": "6b5f3a3e-0000-4000-8000-000000000000"}]},
        {"network_id": "x"},
        {"network_id": HUGE},
        {"device_id": "x" * 256},
        {"security_groups": ["default"]},
        {"qos_policy_id": "../x"},
        {"qos_policy_id": HUGE},
        {"port_security_enabled": "perhaps"},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.1,actions=NORMAL"}]},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.1\n"}]},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.0/24 "}]},
        {"allowed_address_pairs": [{"ip_address": "\ud800/8"}]},
        {"allowed_address_pairs": [{"ip_address": 1}]},
        {"allowed_address_pairs": [{"ip_address": "0x0a000001"}]},
        {"allowed_address_pairs": [{"ip_address": "1" * 100000}]},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.1", "mac_address": "fa:16:3e:00:00:01,drop"}]},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.1", "mac_address": "00:00:00:00:00:00"}]},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.1", "mac_address": None}]},
        {"allowed_address_pairs": [{"ip_address": None}]},
        {"allowed_address_pairs": [{"ip_address": "fe80::1%eth0"}]},
        {"allowed_address_pairs": [None]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x\ndhcp-script=/bin/sh"}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x\r"}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x # 1a0b0c0d-0000-4000-8000-000000000001"}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": 'x"'}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": " x"}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "\u0430"}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x" * 256}]},
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name\n", "opt_value": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": "tag:other,bootfile-name", "opt_value": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": "encap:43,67", "opt_value": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": "54", "opt_value": "10.0.0.1"}]},
        {"extra_dhcp_opts": [{"opt_name": "\u0666\u0667", "opt_value": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": 1400}]},
        {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "tag": "x"}]},
        {"extra_dhcp_opts": [None]},
        {"dns_name": "web\n10.0.0.1 db"},
        {"dns_name": "web\n"},
        {"dns_name": "web # x"},
        {"dns_name": "web db"},
        {"dns_name": "web,10.0.0.9"},
        {"dns_name": "w\u00e9b"},
        {"dns_name": "web\u0131"},
        {"dns_name": "a." * 128 + "b"},
        {"dns_name": "a." * 120 + "b"},
        {"dns_name": "x" * 64},
        {"dns_name": None},
        {"dns_domain": "example.org\n."},
        {"dns_domain": "example.org"},
        {"dns_domain": "."},
        {"dns_name": "x" * 63, "dns_domain": ("y" * 63 + ".") * 3},
        {"binding:vnic_type": "direct"},
    ],
)
def test_invalid_ports_are_refused(demo: Connection, network: Any, values: dict[str, Any]) -> None:
    answer = request(demo, "POST", "/ports", {"port": {"network_id": network.id, **values}})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"network": {"name": "\\ud800"}}', "[" * 5000, '"x"'])
def test_bodies_that_are_not_json_objects_are_refused(demo: Connection, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = demo.network.request("/networks", "POST", data=body, headers=headers, raise_exc=False)
    assert answer.status_code == 400
    assert "NeutronError" in answer.json()


@pytest.mark.parametrize(
    "query",
    [
        "limit=" + "9" * 100,
        "changed_since=x",
        "sort_key=__class__",
        "sort_key=deleted_at",
        "page_reverse=maybe",
        "fixed_ips=x",
        "status=%00",
        "tags=%00",
        "fields=__dict__",
        "name=" + "x" * 5000,
    ],
)
def test_hostile_queries_cause_no_errors(demo: Connection, query: str) -> None:
    for kind in ("networks", "ports"):
        assert request(demo, "GET", f"/{kind}?{query}").status_code in (200, 400)


@pytest.mark.parametrize("tag", ["a,b", "x" * 256])
def test_invalid_tags_are_refused(demo: Connection, network: Any, tag: str) -> None:
    assert request(demo, "PUT", f"/networks/{network.id}/tags/{tag}").status_code == 400
    assert request(demo, "PUT", f"/networks/{network.id}/tags", {"tags": [tag]}).status_code == 400


def test_invalid_tokens_are_refused(demo: Connection) -> None:
    for token in ("x", "gAAAAAB" + "A" * 200):
        answer = demo.network.request(
            "/networks", "GET", headers={"X-Auth-Token": token}, authenticated=False, raise_exc=False
        )
        assert answer.status_code == 401


def test_resources_of_others_do_not_leak(admin: Connection, demo: Connection, alt: Connection, network: Any) -> None:
    subnet = demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    project = demo.current_project_id
    mine = alt.network.create_network(name="mine")
    for path in (f"/networks?project_id={project}", f"/subnets?tenant_id={project}", f"/ports?network_id={network.id}"):
        (found,) = request(alt, "GET", path).json().values()
        assert found == []
    assert request(alt, "GET", f"/networks?limit=1&marker={network.id}").json().get("networks") != [network.id]
    taken = {"port": {"network_id": mine.id, "fixed_ips": [{"subnet_id": subnet.id}]}}
    assert request(alt, "POST", "/ports", taken).status_code == 400
    assert request(alt, "PUT", f"/networks/{network.id}/tags/x").status_code == 404
    assert request(alt, "GET", f"/quotas/{project}").status_code == 403
    alt.network.delete_network(mine)


def test_projects_share_only_what_they_own(admin: Connection, demo: Connection, alt: Connection, network: Any) -> None:
    def share(who: Connection, target: str, **more: str) -> Any:
        body = {
            "object_type": "network",
            "object_id": network.id,
            "action": "access_as_shared",
            "target_tenant": target,
        }
        return request(who, "POST", "/rbac-policies", {"rbac_policy": body | more})

    # Only administrators share with all projects, or for another project.
    wildcard = share(demo, "*")
    assert (wildcard.status_code, wildcard.json()["NeutronError"]["message"]) == (
        403,
        "(rule:create_rbac_policy and rule:create_rbac_policy:target_tenant) is disallowed by policy",
    )
    assert share(demo, alt.current_project_id, project_id=alt.current_project_id).status_code == 400
    # A network that a project does not see, and one that it sees but does not own.
    hidden = share(alt, alt.current_project_id)
    assert hidden.status_code == 400
    assert hidden.json()["NeutronError"]["message"].endswith(f"Network {network.id} could not be found.")
    made = share(demo, alt.current_project_id).json()["rbac_policy"]["id"]
    seen = share(alt, admin.current_project_id)
    assert (seen.status_code, seen.json()["NeutronError"]["message"]) == (
        400,
        "Invalid input for operation: Only admins can manipulate policies on objects they do not own.",
    )
    # The target of a policy neither sees nor changes it.
    path, change = f"/rbac-policies/{made}", {"rbac_policy": {"target_tenant": "*"}}
    assert request(alt, "GET", "/rbac-policies").json() == {"rbac_policies": []}
    for method in ("GET", "PUT", "DELETE"):
        assert request(alt, method, path, change if method == "PUT" else None).status_code == 404
    assert request(demo, "PUT", path, change).status_code == 403
    assert request(admin, "PUT", path, change).status_code == 200
    assert request(demo, "GET", path).json()["rbac_policy"]["target_tenant"] == "*"


@pytest.fixture
def shared_policy(admin: Connection) -> Iterator[Any]:
    """A QoS policy of another project that all projects may use, with a rule."""
    policy = admin.network.create_qos_policy(name="shared", shared=True)
    admin.network.create_qos_bandwidth_limit_rule(policy, max_kbps=1000)
    yield admin.network.get_qos_policy(policy)
    admin.network.delete_qos_policy(policy)


def test_a_shared_qos_policy_can_only_be_used(demo: Connection, admin: Connection, shared_policy: Any) -> None:
    one = f"/qos/policies/{shared_policy.id}"
    rules, rule = f"{one}/bandwidth_limit_rules", shared_policy.rules[0]["id"]
    change = {"bandwidth_limit_rule": {"max_kbps": 9}}
    for method, path, body in (
        ("PUT", one, {"policy": {"name": "mine"}}),
        ("DELETE", one, None),
        ("POST", rules, change),
        ("PUT", f"{rules}/{rule}", change),
        ("DELETE", f"{rules}/{rule}", None),
        ("PUT", f"/qos/alias_bandwidth_limit_rules/{rule}", {"alias_bandwidth_limit_rule": {"max_kbps": 9}}),
        ("DELETE", f"/qos/alias_bandwidth_limit_rules/{rule}", None),
        ("POST", "/qos/policies", {"policy": {"name": "mine"}}),
    ):
        assert request(demo, method, path, body).status_code == 403, (method, path)
    assert request(demo, "GET", rules).json() == {"bandwidth_limit_rules": []}
    for path in (f"{rules}/{rule}", f"/qos/alias_bandwidth_limit_rules/{rule}"):
        assert request(demo, "GET", path).status_code == 404
    assert admin.network.get_qos_policy(shared_policy).rules == shared_policy.rules


def test_hidden_qos_policies_and_their_rules_do_not_exist(demo: Connection, admin: Connection) -> None:
    policy = admin.network.create_qos_policy(name="hidden")
    rule = admin.network.create_qos_dscp_marking_rule(policy, dscp_mark=10)
    one = f"/qos/policies/{policy.id}"
    paths = [one, f"{one}/dscp_marking_rules", f"{one}/dscp_marking_rules/{rule.id}"]
    for path in (*paths, f"/qos/alias_dscp_marking_rules/{rule.id}"):
        assert request(demo, "GET", path).status_code == 404, path
    for path in (one, f"{one}/dscp_marking_rules/{rule.id}", f"/qos/alias_dscp_marking_rules/{rule.id}"):
        assert request(demo, "DELETE", path).status_code == 404, path
    admin.network.delete_qos_policy(policy)


@pytest.mark.parametrize(
    "values",
    [
        {"max_kbps": HUGE},
        {"max_kbps": 1.5},
        {"max_kbps": "1,burst_size=9"},
        {"max_kbps": 1, "max_burst_kbps": HUGE},
        {"max_kbps": 1, "direction": "egress,drop"},
        {"max_kbps": [1]},
        {"max_kbps": None},
    ],
)
def test_invalid_qos_rules_are_refused(admin: Connection, shared_policy: Any, values: dict[str, Any]) -> None:
    path = f"/qos/policies/{shared_policy.id}/packet_rate_limit_rules"
    body = {name.replace("kbps", "kpps"): value for name, value in values.items()}
    assert request(admin, "POST", path, {"packet_rate_limit_rule": body}).status_code == 400
