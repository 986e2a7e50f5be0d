"""Policy rules: each route has one, each is used, and rules of OpenStack's services have OpenStack's names."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from skywright.auth.policy import Policy
from skywright.cli.cloud.policies import policy_file
from skywright.cli.cloud.steps import StepFailed
from skywright.http import Service
from skywright.http.policy import AUTHENTICATED
from skywright.services import registry
from skywright.settings import Settings

SERVICES = {service.type: service for service in registry.services()}
OPENSTACK = {file.stem: yaml.safe_load(file.read_text()) for file in Path(__file__).parent.glob("policies/*.yaml")}
# Routes that Nova, Neutron and Glance have no rule for: a valid token is enough. A list of networks shows what
# get_network allows.
WITHOUT_RULE = {
    "compute": {"GET /v2.1/flavors", "GET /v2.1/flavors/detail", "GET /v2.1/flavors/{flavor_id}"},
    "network": {
        "GET /v2.0/extensions",
        "GET /v2.0/extensions/{alias}",
        "GET /v2.0/networks",
        "GET /v2.0/subnets",
        "GET /v2.0/ports",
        "GET /v2.0/subnetpools",
        "GET /v2.0/address-scopes",
        "GET /v2.0/qos/policies",
        "GET /v2.0/rbac-policies",
        "GET /v2.0/network_segment_ranges",
        # Empty: see absent.
        "GET /v2.0/agents",
        "GET /v2.0/floatingips",
        "GET /v2.0/routers",
        "GET /v2.0/security-groups",
        "GET /v2.0/service-providers",
    },
    "image": {
        "DELETE /v2/images",
        "GET /v2/info/import",
        "GET /v2/info/stores",
        "GET /v2/info/usage",
        "GET /v2/schemas/{name}",
        "GET /v2/schemas/metadefs/{name}",
    },
}
# Routes that need no token.
ANONYMOUS = {
    "identity": {"GET /", "GET /v3", "POST /v3/auth/tokens", "POST /v3/users/{user_id}/password"},
    "compute": {
        "GET /",
        "GET /v2",
        "GET /v2.1",
        "GET /console/{path:path}",
        # Requests of metadata proxies, with signatures.
        "GET /metadata",
        "GET /metadata/{path:path}",
        "POST /metadata/{path:path}",
    },
    "network": {"GET /", "GET /v2.0"},
    "image": {
        "GET /",
        "GET /v2",
        "GET /versions",
        # Requests between controllers, with signed URLs.
        "GET /v2/images/{image_id}/replicas/{digest}",
        "PUT /v2/images/{image_id}/replicas/{digest}",
    },
    "operations": {"GET /"},
}
# Rules whose default differs from OpenStack's, and why.
OWN_CHECKS = {"get_quota": "with Neutron's, for managers only, `openstack quota show` fails for all others"}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]


def test_every_route_has_a_rule(service: Service) -> None:
    found = dict(service.operations())
    assert {path for path, rules in found.items() if rules is None} == ANONYMOUS.get(service.type, set())
    bare = {path for path, rules in found.items() if rules and rules[0] == AUTHENTICATED}
    assert bare == WITHOUT_RULE.get(service.type, set())


def test_every_rule_of_a_route_is_one_of_its_service(service: Service) -> None:
    for path, rules in service.operations():
        assert set(rules or ()) - {AUTHENTICATED} <= service.policies.keys(), path


def test_every_rule_is_used_by_a_route_or_another_rule(service: Service) -> None:
    used = {rule for _, rules in service.operations() for rule in rules or ()} - {AUTHENTICATED}
    base = import_module(f"skywright.services.{service.type}.policies").BASE
    assert service.policies.keys() == used | base.keys()


@pytest.mark.parametrize("kind", OPENSTACK)
def test_rules_have_openstacks_names_and_defaults(kind: str) -> None:
    own = SERVICES[kind].policies
    assert own.keys() <= OPENSTACK[kind].keys()
    different = {rule for rule, check in own.items() if check != OPENSTACK[kind][rule]}
    assert different == OWN_CHECKS.keys() & own.keys()


def test_other_rules_are_named_after_operations() -> None:
    policies = import_module("skywright.services.operations.policies")
    assert all(rule.startswith("operations:") for rule in policies.POLICIES.keys() - policies.BASE.keys())


def test_the_list_of_rules_is_a_policy_file_with_operations_and_overrides(tmp_path: Path) -> None:
    own = tmp_path / "policy.d" / "network"
    own.mkdir(parents=True)
    (tmp_path / "policy.yaml").write_text('"create_network:shared": "role:member"\n"volume:create": "role:member"\n')
    (own / "own.yaml").write_text('"create_network:shared": "rule:admin_or_owner"\n')
    text = "\n".join(policy_file(Settings(state_dir=tmp_path), None))
    expected = {rule: check for service in SERVICES.values() for rule, check in service.policies.items()}
    listed = yaml.safe_load(text)
    assert listed.keys() == expected.keys()
    assert listed["create_network:shared"] == "rule:admin_or_owner"
    assert '# POST /v2.0/networks\n# Default: rule:admin_only\n"create_network:shared": "rule:admin_or_owner"' in text
    assert text.endswith('# No operation of this cloud has the rule "volume:create".')
    only = yaml.safe_load("\n".join(policy_file(Settings(state_dir=tmp_path), "image")))
    assert only == SERVICES["image"].policies
    with pytest.raises(StepFailed, match="There is no service volume"):
        list(policy_file(Settings(state_dir=tmp_path), "volume"))


def test_requests_wait_while_a_changed_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """oslo.policy first removes all rules: a request at that time was refused, and the refusal was cached."""
    policy = Policy("compute", {"rule": "@"}, tmp_path)
    enforcer, forgotten, go_on = policy._enforcer, Event(), Event()
    load = enforcer.load_rules

    def load_slowly(force_reload: bool = False) -> None:
        enforcer.rules.clear()
        forgotten.set()
        go_on.wait(10)
        load(force_reload)

    assert policy.allows("rule", {}, {})
    monkeypatch.setattr(enforcer, "load_rules", load_slowly)
    (tmp_path / "policy.yaml").write_text('"other": "!"\n')
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(policy.allows, "rule", {}, {})
        assert forgotten.wait(10)
        second = pool.submit(policy.allows, "rule", {}, {})
        wait([second], timeout=0.2)
        go_on.set()
        assert first.result()
        assert second.result()
    assert policy.allows("rule", {}, {})


@pytest.mark.parametrize(
    ("check", "target", "allowed"),
    [
        ("field:networks:shared=True", {"shared": True}, True),
        ("field:networks:shared=True", {"shared": False}, False),
        ("field:networks:shared=True", {}, False),
        ("field:networks:router:external=False", {"router:external": False}, True),
        ("field:rbac_policy:target_tenant=*", {"target_tenant": "*"}, True),
        ("field:rbac_policy:target_tenant=*", {"target_tenant": "a"}, False),
        ("field:port:device_owner=~^network:", {"device_owner": "network:dhcp"}, True),
        ("field:port:device_owner=~^network:", {"device_owner": "compute:network:"}, False),
    ],
)
def test_neutrons_field_check(check: str, target: dict[str, Any], allowed: bool, tmp_path: Path) -> None:
    assert Policy("network", {"rule": check}, tmp_path).allows("rule", target, {}) is allowed


@pytest.mark.parametrize(
    ("rules", "expression"),
    [
        ("create_network", "rule:create_network"),
        ("create_network create_network:shared", "(rule:create_network and rule:create_network:shared)"),
        (
            "create_port create_port:fixed_ips create_port:fixed_ips:ip_address create_port:mac_address",
            "((rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:ip_address)))"
            " and rule:create_port:mac_address)",
        ),
    ],
)
def test_neutrons_message_of_a_refusal(rules: str, expression: str) -> None:
    assert SERVICES["network"].refusal(rules.split()) == f"{expression} is disallowed by policy"


def test_a_remembered_decision_takes_little_memory(tmp_path: Path) -> None:
    policy = Policy("compute", {"a": "project_id:%(project_id)s"}, tmp_path)
    tracemalloc.start()
    try:
        for number in range(200):
            assert policy.allows("a", {"project_id": str(number)}, {"project_id": str(number)})
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 200 * 1000
