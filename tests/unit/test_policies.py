"""Policy rules: each route has one, each has a use, and those of OpenStack's services have OpenStack's names."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from skywright.http import Service
from skywright.http.policy import AUTHENTICATED
from skywright.services import registry

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
        # Empty: see absent.
        "GET /v2.0/floatingips",
        "GET /v2.0/routers",
        "GET /v2.0/security-groups",
        "GET /v2.0/service-providers",
    },
    "image": {
        "DELETE /v2/images",
        "GET /v2/info/import",
        "GET /v2/info/stores",
        "GET /v2/schemas/{name}",
        "GET /v2/schemas/metadefs/{name}",
    },
}
# Routes that need no token.
ANONYMOUS = {
    "identity": {"GET /", "GET /v3", "POST /v3/auth/tokens", "POST /v3/users/{user_id}/password"},
    "compute": {"GET /", "GET /v2", "GET /v2.1", "GET /console/{path:path}"},
    "network": {"GET /", "GET /v2.0"},
    "image": {
        "GET /",
        "GET /v2",
        "GET /versions",
        # What controllers ask each other for, by signed URLs.
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


def test_every_rule_is_of_a_route_or_what_others_refer_to(service: Service) -> None:
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
