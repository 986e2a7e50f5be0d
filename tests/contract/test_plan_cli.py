"""`skywright plan -- openstack ...`: the client with a planning proxy, and the output."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml
from openstack.connection import Connection

from contract.compute_helpers import add_hosts, make_fixtures, run_jobs
from contract.conftest import PASSWORD, Api
from contract.plan_helpers import NULL
from skywright.cli.jobs.planning_proxy import PlanningProxy

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def flavor(api: Api) -> Iterator[str]:
    add_hosts(api.cloud, "null-host", variables=NULL, groups=["computes", "networks"])
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo).flavor
    api.cloud.planner.close()


@pytest.fixture
def plan(api: Api, flavor: str, tmp_path: Path) -> Run:
    """Return a function that runs `skywright plan`, with a clouds.yaml with the clouds `admin` and `demo`."""
    clouds = {
        name: {
            "auth": {
                "auth_url": f"{api.url}/identity/v3",
                "username": name,
                "password": PASSWORD,
                "project_name": name,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": "RegionOne",
        }
        for name in ("admin", "demo")
    }
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment = {**kept, "HOME": str(tmp_path), "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")}
    skywright = Path(sys.executable).with_name("skywright")

    def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [skywright, "plan", "--", "openstack", *command],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def create(flavor: str, *more: str) -> list[str]:
    return ["server", "create", "--image", "guest", "--flavor", flavor, "--network", "net", *more, "web"]


def test_an_administrator_sees_hosts_and_differences(plan: Run, flavor: str, demo: Connection, tmp_path: Path) -> None:
    secret = tmp_path / "user-data"
    secret.write_text("canary")
    found = plan("--os-cloud", "admin", *create(flavor, "--user-data", str(secret)))
    assert (found.returncode, found.stderr) == (2, "")
    assert "POST compute /v2.1/servers 202" in found.stdout
    assert "job server create of server" in found.stdout
    lines = found.stdout.splitlines()
    assert "null-host" in lines
    assert any(line.strip().startswith("+ server ") and line.endswith("libvirt_domain") for line in lines)
    assert any("+power: running" in line for line in lines)
    assert lines[-1] == "1 change on 1 host. Nothing was changed."
    assert "canary" not in found.stdout and "Y2FuYXJ5" not in found.stdout
    assert list(demo.compute.servers()) == []


def test_users_see_their_own_resources(plan: Run, flavor: str) -> None:
    found = plan(*create(flavor), OS_CLOUD="demo")
    assert found.returncode == 2, found.stderr
    assert "null-host" not in found.stdout
    assert "+ server" in found.stdout


def test_credentials_from_the_environment(plan: Run, api: Api) -> None:
    variables = {
        "OS_AUTH_URL": f"{api.url}/identity",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    found = plan("network", "create", "planned", **variables)
    assert found.returncode == 2, found.stderr
    assert "The cloud's records would change, no host." in found.stdout


def test_reads_are_answered(plan: Run, flavor: str) -> None:
    found = plan("flavor", "show", flavor, "-f", "value", "-c", "ram", OS_CLOUD="demo")
    assert (found.returncode, found.stdout.strip()) == (0, "128")
    assert "Nothing would change." in found.stderr
    listed = plan("catalog", "list", "-f", "value", OS_CLOUD="demo")
    assert listed.returncode == 0 and "nova compute" in listed.stdout


def test_plans_of_commands_that_would_fail(api: Api, plan: Run, flavor: str, demo: Connection) -> None:
    missing = plan("server", "delete", "missing", OS_CLOUD="demo")
    assert missing.returncode == 1 and "missing" in missing.stderr
    forbidden = plan("flavor", "create", "--ram", "1", "--vcpus", "1", "--disk", "1", "x", OS_CLOUD="demo")
    assert forbidden.returncode == 1
    assert "403" in forbidden.stdout and "Policy" in forbidden.stdout
    image = plan("image", "create", "--file", __file__, "--disk-format", "raw", "x", OS_CLOUD="demo")
    assert image.returncode == 2, "its first request makes the record"
    refused = plan("token", "revoke", "x", OS_CLOUD="demo")
    assert refused.returncode == 1
    nobody = plan("server", "list", OS_CLOUD="nobody")
    assert nobody.returncode == 1 and "nobody" in nobody.stderr
    assert "Traceback" not in nobody.stderr
    run_jobs(api.cloud)
    assert list(demo.image.images(owner=demo.current_project_id)) == []


def test_the_proxy_serves_only_its_secret_path(api: Api) -> None:
    with PlanningProxy(f"{api.url}/identity/v3") as proxy:
        local = proxy.local(f"{api.url}/identity/v3")
        answer = requests.get(local, timeout=5)
        assert answer.status_code == 200
        assert api.url not in answer.text and local in answer.text
        guessed = local.replace(local.split("/")[3], "x" * 22)
        assert requests.get(guessed, timeout=5).status_code == 404
        elsewhere = local.replace(api.url.removeprefix("http://"), "127.0.0.1:1")
        assert requests.get(elsewhere, timeout=5).status_code == 404
