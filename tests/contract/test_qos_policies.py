"""QoS policies, their rules, and their use by ports and networks, with Neutron's rules."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request

POLICIES = "/qos/policies"
Refusal = tuple[int, str, str]


def refusal(answer: Any) -> Refusal:
    error = answer.json()["NeutronError"]
    return answer.status_code, error["type"], error["message"]


@pytest.fixture
def make(admin: Connection) -> Iterator[Callable[..., Any]]:
    made = []

    def policy(connection: Connection = admin, **values: Any) -> Any:
        made.append(connection.network.create_qos_policy(**values))
        return made[-1]

    yield policy
    for each in made:
        admin.network.delete_qos_policy(each)


def add(connection: Connection, policy: Any, kind: str, **values: Any) -> Any:
    return request(connection, "POST", f"{POLICIES}/{policy.id}/{kind}_rules", {f"{kind}_rule": values})


def test_the_extensions_are_listed(demo: Connection) -> None:
    found = {each.alias for each in demo.network.extensions()}
    assert {
        "qos",
        "qos-bw-limit-direction",
        "qos-default",
        "qos-port-network-policy",
        "qos-pps",
        "qos-rule-type-details",
        "qos-rule-type-filter",
        "qos-rules-alias",
    } <= found
    assert not {each for each in found if each.startswith("qos-fip") or "minimum" in each or "qos-gateway" in each}


def test_a_policy_has_neutrons_attributes(admin: Connection, make: Any) -> None:
    policy = make(name="gold", description="for the few", shared=True)
    body = request(admin, "GET", f"{POLICIES}/{policy.id}").json()["policy"]
    assert set(body) == {
        *("id", "name", "description", "shared", "is_default", "rules", "project_id", "tenant_id"),
        *("created_at", "updated_at", "revision_number", "tags"),
    }
    assert (body["rules"], body["is_default"], body["shared"], body["tags"]) == ([], False, True, [])
    changed = request(admin, "PUT", f"{POLICIES}/{policy.id}", {"policy": {"name": "silver", "shared": False}})
    assert changed.json()["policy"]["name"] == "silver" and changed.json()["policy"]["shared"] is False
    assert [one.id for one in admin.network.qos_policies(name="silver")] == [policy.id]
    assert request(admin, "PUT", f"{POLICIES}/{policy.id}/tags", {"tags": ["fast"]}).json() == {"tags": ["fast"]}
    assert request(admin, "GET", f"{POLICIES}?tags=fast").json()["policies"][0]["tags"] == ["fast"]
    assert [one.id for one in admin.network.qos_policies(tags="fast")] == [policy.id]


RULES = [
    ("bandwidth_limit", {"max_kbps": 1000}, {"max_kbps": 1000, "max_burst_kbps": 0, "direction": "egress"}),
    (
        "bandwidth_limit",
        {"max_kbps": "7", "max_burst_kbps": 9, "direction": "ingress"},
        {"max_kbps": 7, "max_burst_kbps": 9, "direction": "ingress"},
    ),
    (
        "packet_rate_limit",
        {"max_kpps": 3, "max_burst_kpps": 4, "direction": "ingress"},
        {"max_kpps": 3, "max_burst_kpps": 4, "direction": "ingress"},
    ),
    ("dscp_marking", {"dscp_mark": 26}, {"dscp_mark": 26}),
]


@pytest.mark.parametrize(("kind", "given", "shown"), RULES)
def test_a_rule_has_the_attributes_of_its_type(admin: Connection, make: Any, kind: str, given: Any, shown: Any) -> None:
    policy = make()
    answer = add(admin, policy, kind, **given)
    assert answer.status_code == 201
    rule = answer.json()[f"{kind}_rule"]
    assert rule == shown | {"id": rule["id"]}
    path = f"{POLICIES}/{policy.id}/{kind}_rules"
    assert request(admin, "GET", path).json() == {f"{kind}_rules": [rule]}
    assert request(admin, "GET", f"{path}/{rule['id']}").json() == {f"{kind}_rule": rule}
    [listed] = admin.network.get_qos_policy(policy).rules
    assert listed == rule | {"type": kind, "qos_policy_id": policy.id}
    revision = admin.network.get_qos_policy(policy).revision_number
    name = next(iter(shown))
    changed = request(admin, "PUT", f"{path}/{rule['id']}", {f"{kind}_rule": {name: 8}}).json()[f"{kind}_rule"]
    assert changed == rule | {name: 8}
    assert admin.network.get_qos_policy(policy).revision_number == revision + 1
    assert request(admin, "DELETE", f"{path}/{rule['id']}").status_code == 204
    missing = f"QoS rule {rule['id']} for policy {policy.id} could not be found."
    assert refusal(request(admin, "GET", f"{path}/{rule['id']}")) == (404, "QosRuleNotFound", missing)


@pytest.mark.parametrize("kind", ["bandwidth_limit", "dscp_marking"])
def test_rules_have_paths_without_their_policy(admin: Connection, make: Any, kind: str) -> None:
    policy, values = make(), dict(RULES[0][1] if kind == "bandwidth_limit" else RULES[3][1])
    rule = add(admin, policy, kind, **values).json()[f"{kind}_rule"]
    alias = f"alias_{kind}_rule"
    path = f"/qos/{alias}s/{rule['id']}"
    assert request(admin, "GET", path).json() == {alias: rule}
    name = next(iter(values))
    changed = request(admin, "PUT", path, {alias: {name: 10}}).json()
    assert changed == {alias: rule | {name: 10}}
    assert request(admin, "DELETE", path).status_code == 204
    missing = f"QoS rule {rule['id']} for policy  could not be found."
    assert refusal(request(admin, "GET", path)) == (404, "QosRuleNotFound", missing)
    assert request(admin, "GET", f"/qos/alias_packet_rate_limit_rules/{rule['id']}").status_code == 404


def test_a_policy_has_one_rule_of_a_type_and_direction(admin: Connection, make: Any) -> None:
    policy = make()
    first = add(admin, policy, "bandwidth_limit", max_kbps=1).json()["bandwidth_limit_rule"]["id"]
    text = f"Rule bandwidth_limit conflicts with rule {first} which already exists in QoS Policy {policy.id}."
    conflict = 409, "QoSRulesConflict", text
    assert refusal(add(admin, policy, "bandwidth_limit", max_kbps=2)) == conflict
    assert add(admin, policy, "packet_rate_limit", max_kpps=2).status_code == 201
    second = add(admin, policy, "bandwidth_limit", max_kbps=2, direction="ingress").json()["bandwidth_limit_rule"]
    path = f"{POLICIES}/{policy.id}/bandwidth_limit_rules/{second['id']}"
    assert refusal(request(admin, "PUT", path, {"bandwidth_limit_rule": {"direction": "egress"}})) == conflict
    assert add(admin, policy, "dscp_marking", dscp_mark=0).status_code == 201
    assert add(admin, policy, "dscp_marking", dscp_mark=8).status_code == 409


RANGE = "Invalid input for {}. Reason: '{}' is too {} - must be {} '{}'."
MARKS = "0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56"
WRONG = [
    (
        "bandwidth_limit",
        {"max_kbps": -1},
        "Invalid input for max_kbps. Reason: -1 is too small - must be at least '0'.",
    ),
    ("bandwidth_limit", {"max_kbps": 2**31}, "must be no larger than '2147483647'."),
    ("bandwidth_limit", {"max_kbps": "x"}, "Invalid input for operation: 'x' is not an integer."),
    ("bandwidth_limit", {}, "Failed to parse request. Required attribute 'max_kbps' not specified"),
    ("bandwidth_limit", {"max_kbps": 1, "direction": "up"}, "Invalid input for direction. Reason: 'up' is not in"),
    ("bandwidth_limit", {"max_kbps": 1, "min_kbps": 1}, "Unrecognized attribute(s) 'min_kbps'"),
    ("packet_rate_limit", {"max_kpps": 1, "direction": "any"}, "Invalid input for direction. Reason: 'any' is not in"),
    ("dscp_marking", {"dscp_mark": 7}, f"Invalid input for dscp_mark. Reason: 7 is not in [{MARKS}]."),
]


@pytest.mark.parametrize(("kind", "values", "message"), WRONG)
def test_invalid_rules_are_refused(admin: Connection, make: Any, kind: str, values: Any, message: str) -> None:
    answer = add(admin, make(), kind, **values)
    assert answer.status_code == 400 and message in answer.json()["NeutronError"]["message"]


def test_guaranteed_bandwidth_is_refused_with_the_reason(admin: Connection, make: Any) -> None:
    answer = add(admin, make(), "minimum_bandwidth", min_kbps=1)
    assert answer.status_code == 404 and "guaranteed bandwidth" in answer.text


def test_the_policy_of_a_port_is_its_own_or_that_of_its_network(
    demo: Connection, admin: Connection, make: Any, network: Any
) -> None:
    mine, general = make(shared=True), make(shared=True)
    port = demo.network.create_port(network_id=network.id)
    assert (port.qos_policy_id, port.qos_network_policy_id) == (None, None)
    assert demo.network.update_network(network, qos_policy_id=general.id).qos_policy_id == general.id
    assert demo.network.update_port(port, qos_policy_id=mine.id).qos_policy_id == mine.id
    shown = demo.network.get_port(port)
    assert (shown.qos_policy_id, shown.qos_network_policy_id) == (mine.id, general.id)
    used = f"QoS Policy {mine.id} is used by port {port.id}."
    assert refusal(request(admin, "DELETE", f"{POLICIES}/{mine.id}")) == (409, "QosPolicyInUse", used)
    used = f"QoS Policy {general.id} is used by network {network.id}."
    assert refusal(request(admin, "DELETE", f"{POLICIES}/{general.id}")) == (409, "QosPolicyInUse", used)
    answer = request(demo, "PUT", f"/ports/{port.id}", {"port": {"qos_policy_id": None}})
    assert answer.json()["port"]["qos_policy_id"] is None
    assert demo.network.update_network(network, qos_policy_id=None).qos_policy_id is None
    body = {"port": {"network_id": network.id, "qos_network_policy_id": general.id}}
    assert request(demo, "POST", "/ports", body).status_code == 400


def test_new_networks_get_the_default_policy_of_their_project(demo: Connection, make: Any) -> None:
    mine = demo.current_project_id
    default, other = make(project_id=mine, is_default=True), make(project_id=mine)
    assert default.is_default
    text = f"A default QoS policy exists for project {mine}."
    refused = request(demo, "PUT", f"{POLICIES}/{other.id}", {"policy": {"is_default": True}})
    assert refused.status_code == 403  # a member of the project is no manager
    network = demo.network.create_network(name="private")
    try:
        assert network.qos_policy_id == default.id
    finally:
        demo.network.delete_network(network)
    assert [one.id for one in demo.network.qos_policies(is_default=True)] == [default.id]
    with pytest.raises(Exception, match=text):
        make(project_id=mine, is_default=True)


def test_policies_are_those_of_administrators_and_shared_ones(
    demo: Connection, admin: Connection, make: Any, network: Any
) -> None:
    hidden, shared = make(name="hidden"), make(name="shared")
    share = {"object_type": "qos_policy", "object_id": shared.id, "action": "access_as_shared"}
    body = {"rbac_policy": share | {"target_tenant": demo.current_project_id}}
    rbac = request(admin, "POST", "/rbac-policies", body).json()["rbac_policy"]
    assert [one.name for one in demo.network.qos_policies(shared=True)] == ["shared"]
    missing = 404, "QosPolicyNotFound", f"QoS policy {hidden.id} could not be found."
    assert refusal(request(demo, "GET", f"{POLICIES}/{hidden.id}")) == missing
    port = {"port": {"network_id": network.id, "qos_policy_id": hidden.id}}
    assert refusal(request(demo, "POST", "/ports", port)) == missing
    assert (
        refusal(request(demo, "PUT", f"/networks/{network.id}", {"network": {"qos_policy_id": hidden.id}})) == missing
    )
    demo.network.update_network(network, qos_policy_id=shared.id)
    path = f"/rbac-policies/{rbac['id']}"
    assert refusal(request(admin, "DELETE", path))[:2] == (409, "RbacPolicyInUse")
    demo.network.update_network(network, qos_policy_id=None)
    assert request(admin, "DELETE", path).status_code == 204
    assert request(demo, "POST", POLICIES, {"policy": {"name": "mine"}}).status_code == 403


def test_a_policy_that_the_project_may_not_use_stays(
    admin: Connection, demo: Connection, make: Any, network: Any
) -> None:
    hidden = make()
    admin.network.update_network(network.id, qos_policy_id=hidden.id)
    text = f"Failed to remove provided policy {hidden.id} because you are not authorized."
    answer = request(demo, "PUT", f"/networks/{network.id}", {"network": {"qos_policy_id": None}})
    assert refusal(answer) == (403, "PolicyRemoveAuthorizationError", text)
    admin.network.update_network(network.id, qos_policy_id=None)


def test_rule_types_say_what_the_switch_supports(admin: Connection, demo: Connection) -> None:
    expected = ["bandwidth_limit", "dscp_marking", "packet_rate_limit"]
    assert [one.type for one in demo.network.qos_rule_types()] == expected
    assert [one.type for one in demo.network.qos_rule_types(all_rules=True)] == expected
    [driver] = admin.network.get_qos_rule_type("bandwidth_limit").drivers
    assert driver["name"] == "openvswitch"
    direction = {"parameter_name": "direction", "parameter_type": "choices", "parameter_values": ["egress", "ingress"]}
    assert direction in driver["supported_parameters"]
    refused = request(demo, "GET", "/qos/rule-types/bandwidth_limit")
    assert refusal(refused) == (403, "NotAuthorized", "Not authorized.")
    assert request(admin, "GET", "/qos/rule-types/minimum_bandwidth").status_code == 404
    assert request(admin, "GET", "/qos/rule-types?type=x").status_code == 400
