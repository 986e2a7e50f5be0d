"""The commands of openstackclient about servers."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract import openstack_shell
from contract.compute_helpers import add_hosts, make_fixtures, run_jobs
from contract.conftest import Api

Run = Callable[..., Any]


@pytest.fixture
def worker(api: Api) -> Iterator[None]:
    """Settle queued jobs as successful."""
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
    environment = openstack_shell.of_demo(api.url, tmp_path)

    def run(*command: str) -> Any:
        said = openstack_shell.openstack(environment, *command)
        return json.loads(said) if "json" in command else said

    return run


def test_the_life_of_a_server(api: Api, worker: None, openstack: Run, tmp_path: Path) -> None:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        fixtures = make_fixtures(api, admin, demo)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    openstack("keypair", "create", "--public-key", f"{key}.pub", "mine")
    made = openstack(
        *("server", "create", "--image", "guest", "--flavor", fixtures.flavor, "--network", "net"),
        *("--key-name", "mine", "--property", "role=web", "--wait", "web", "-f", "json"),
    )
    assert made["status"] == "ACTIVE" and made["properties"] == {"role": "web"}
    [listed] = openstack("server", "list", "-f", "json")
    assert listed["Name"] == "web" and listed["Image"] == "guest" and "net" in listed["Networks"]
    for command, status in (("stop", "SHUTOFF"), ("start", "ACTIVE")):
        openstack("server", command, "web")
        limit = time.monotonic() + 30
        while openstack("server", "show", "web", "-f", "json")["status"] != status:
            assert time.monotonic() < limit, f"it is not {status}"
    openstack("server", "reboot", "--hard", "--wait", "web")
    assert openstack("console", "log", "show", "--lines", "5", "web") == "login: \n"
    events = openstack("server", "event", "list", "web", "-f", "json")
    assert {event["Action"] for event in events} == {"create", "stop", "start", "reboot"}
    openstack("server", "delete", "--wait", "web")
    assert openstack("server", "list", "-f", "json") == []
