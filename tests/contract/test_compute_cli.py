"""The commands of openstackclient about servers."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.compute_helpers import add_hosts, make_fixtures, run_jobs
from contract.conftest import PASSWORD, Api

Run = Callable[..., Any]


@pytest.fixture
def worker(api: Api) -> Iterator[None]:
    """Jobs end well soon after they are queued."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            run_jobs(api.cloud, output="login: \n")

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def openstack(api: Api, tmp_path: Path) -> Run:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "OS_AUTH_URL": f"{api.url}/identity",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "HOME": str(tmp_path),
    }

    def run(*command: str) -> Any:
        done = subprocess.run(
            [".venv/bin/openstack", *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in command else done.stdout

    return run


def test_the_life_of_a_server(api: Api, worker: None, openstack: Run, tmp_path: Path) -> None:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        things = make_fixtures(api, admin, demo)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    openstack("keypair", "create", "--public-key", f"{key}.pub", "mine")
    made = openstack(
        *("server", "create", "--image", "guest", "--flavor", things.flavor, "--network", "net"),
        *("--key-name", "mine", "--property", "role=web", "--wait", "web", "-f", "json"),
    )
    assert made["status"] == "ACTIVE" and made["properties"] == {"role": "web"}
    [listed] = openstack("server", "list", "-f", "json")
    assert listed["Name"] == "web" and listed["Image"] == "guest" and "net" in listed["Networks"]
    for command, status in (("stop", "SHUTOFF"), ("start", "ACTIVE")):
        openstack("server", command, "web")
        seen = (openstack("server", "show", "web", "-f", "json")["status"] for _ in range(10))
        assert status in seen
    openstack("server", "reboot", "--hard", "--wait", "web")
    assert openstack("console", "log", "show", "--lines", "5", "web") == "login: \n"
    events = openstack("server", "event", "list", "web", "-f", "json")
    assert {event["Action"] for event in events} == {"create", "stop", "start", "reboot"}
    openstack("server", "delete", "--wait", "web")
    assert openstack("server", "list", "-f", "json") == []
