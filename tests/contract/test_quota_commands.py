"""`openstack quota set|show|delete`, with everything that the client sends, and Nova's answers to quota requests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from contract import openstack_shell
from contract.compute_helpers import Nova, add_hosts, make_fixtures
from contract.conftest import Api

Run = Callable[..., Any]


@pytest.fixture
def openstack(api: Api, tmp_path: Path) -> Run:
    environment = openstack_shell.of_demo(api.url, tmp_path) | {"OS_USERNAME": "admin", "OS_PROJECT_NAME": "admin"}

    def run(*command: str) -> Any:
        shown = openstack_shell.openstack(environment, *command)
        return json.loads(shown) if "json" in command else shown

    return run


@pytest.fixture
def nova(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def limits(openstack: Run, *options: str) -> dict[str, Any]:
    return {row["Resource"]: row["Limit"] for row in openstack("quota", "show", *options, "-f", "json")}


@pytest.fixture(scope="module", autouse=True)
def in_use(api: Api) -> None:
    """A server, two networks and at least two ports in the project demo."""
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        fixtures = make_fixtures(api, admin, demo)
        assert Nova(demo, api.url)("POST", "/servers", fixtures.body()).status_code == 202
        demo.network.create_network(name="another")


def test_quotas_are_set_shown_and_deleted(openstack: Run) -> None:
    openstack("quota", "set", "--networks", "40", "--ports", "41", "demo")
    openstack("quota", "set", "--cores", "42", "--no-force", "--key-pairs", "43", "--subnets", "44", "demo")
    shown = limits(openstack, "demo")
    assert [shown[name] for name in ("networks", "ports", "cores", "key-pairs", "subnets")] == [40, 41, 42, 43, 44]
    openstack("quota", "delete", "demo")
    shown = limits(openstack, "demo")
    assert [shown[name] for name in ("networks", "ports", "cores", "key-pairs")] == [100, 500, -1, 100]


def test_limits_below_the_usage_need_force(openstack: Run) -> None:
    for option, name in (("--instances", "instances"), ("--networks", "networks")):
        with pytest.raises(AssertionError, match="must be greater than or equal to already used"):
            openstack("quota", "set", option, "0", "demo")
        openstack("quota", "set", option, "0", "--force", "demo")
        assert limits(openstack, "demo")[name] == 0
    openstack("quota", "delete", "demo")


def test_usage_is_shown(openstack: Run) -> None:
    rows = openstack("quota", "show", "--usage", "demo", "-f", "json")
    shown = {row["Resource"]: (row["Limit"], row["In Use"], row["Reserved"]) for row in rows}
    assert (shown["instances"], shown["networks"]) == ((-1, 1, 0), (100, 2, 0))


@pytest.mark.parametrize("option", ["--default", "--class"])
def test_defaults_are_set_for_all_projects(openstack: Run, option: str) -> None:
    openstack("quota", "set", option, "--properties", "77", "--server-groups", "5", "default")
    try:
        assert limits(openstack, "--default")["properties"] == limits(openstack, "demo")["properties"] == 77
    finally:
        openstack("quota", "set", option, "--properties", "128", "--server-groups", "10", "default")


def test_fields_of_quota_classes_by_microversion(nova: Nova) -> None:
    path = "/os-quota-class-sets/default"
    for version, groups, network, injected in (
        ("2.1", False, True, True),
        ("2.49", False, True, True),
        ("2.50", True, False, True),
        ("2.57", True, False, False),
    ):
        shown = nova("GET", path, version=version).json()["quota_class_set"]
        found = ("server_groups" in shown, "fixed_ips" in shown, "injected_files" in shown)
        assert found == (groups, network, injected)
    assert nova("PUT", path, {"quota_class_set": {"force": True, "cores": 1}}).status_code == 400
    assert nova("PUT", path, {"quota_class_set": {"fixed_ips": 1}}, version="2.50").status_code == 400


def test_requests_without_effect_are_refused(nova: Nova, demo: Connection) -> None:
    path = f"/os-quota-sets/{demo.current_project_id}"
    assert nova("PUT", f"{path}?user_id={demo.current_user_id}", {"quota_set": {"cores": 1}}).status_code == 400
    assert nova("PUT", path, {"quota_set": {"cores": 9, "force": "yes", "tenant_id": "x"}}).status_code == 400
    assert nova("PUT", path, {"quota_set": {"cores": 9, "force": "maybe"}}).status_code == 400
    assert nova("PUT", path, {"quota_set": {"cores": "9", "force": "yes"}}).json()["quota_set"]["cores"] == 9
    # It would delete the quotas of all users.
    assert nova("DELETE", f"{path}?user_id={demo.current_user_id}").status_code == 400
    assert nova("GET", f"{path}?user_id={demo.current_user_id}").json()["quota_set"]["cores"] == 9
    assert nova("DELETE", path).status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/os-quota-sets/{project}?userid=x"),
        ("GET", "/os-quota-sets/{project}/detail?userid=x"),
        ("PUT", "/os-quota-sets/{project}?userid=x"),
        ("DELETE", "/os-quota-sets/{project}?userid=x"),
        ("GET", "/limits?tenantid=x"),
        ("GET", "/os-keypairs/none?userid=x"),
        ("DELETE", "/os-keypairs/none?userid=x"),
    ],
)
def test_unknown_parameters_are_refused_since_2_75(nova: Nova, demo: Connection, method: str, path: str) -> None:
    path, body = path.format(project=demo.current_project_id), {"quota_set": {}} if method == "PUT" else None
    answer = nova(method, path, body, version="2.75")
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"].startswith("Additional properties are not allowed ('")
    assert nova(method, path, body, version="2.74").status_code in (200, 202, 404)
