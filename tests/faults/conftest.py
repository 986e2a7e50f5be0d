"""The highly available cloud of the ha inventory, used by clients while its hosts fail; and a table of results."""

import json
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack.connection import Connection

from faults.hosts import Hosts
from lab.support import ROOT, eventually

CLOUDS = ROOT / "var/overclouds/overcloud/clouds.yaml"
COLUMNS = ("fault", "host", "down", "write_down", "recovery", "slower", "servers", "acknowledged", "lost")
ROWS = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture(scope="session")
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Connection]:
    if not CLOUDS.exists():
        pytest.fail("there is no highly available cloud: run `make overcloud` first")
    config = openstack.config.OpenStackConfig(config_files=[str(CLOUDS)])
    with Connection(config=config.get_one()) as connection:
        connection.compute.put(f"/os-quota-sets/{connection.current_project_id}", json={"quota_set": {"key_pairs": -1}})
        yield connection


@pytest.fixture(scope="session")
def server(cloud: Connection) -> Iterator[dict[str, Any]]:
    """The body of a request for a server that needs few resources: its image has no operating system."""
    image = cloud.image.create_image(
        "faults", data=bytes(1 << 20), disk_format="raw", container_format="bare", wait=True
    )
    flavor = cloud.compute.create_flavor(name="faults", ram=64, vcpus=1, disk=0)
    network = cloud.network.create_network(name="faults")
    subnet = cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="192.168.80.0/24")
    wanted = {"imageRef": image.id, "flavorRef": flavor.id, "networks": [{"uuid": network.id}]}
    yield {"server": {"name": "faults", **wanted}}
    eventually(lambda: not any(s.name == "faults" for s in cloud.compute.servers()), 120, "the servers are gone")
    cloud.network.delete_subnet(subnet)
    cloud.network.delete_network(network)
    cloud.compute.delete_flavor(flavor)
    cloud.image.delete_image(image)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The rows of the table."""
    rows: list[dict[str, Any]] = request.config.stash.setdefault(ROWS, [])
    return rows


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section("how the cloud bore the faults (seconds)")
    for cells in [dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]:
        terminalreporter.line("  ".join(f"{cells[column]!s:<{26 if column == 'fault' else 12}}" for column in COLUMNS))
    (ROOT / "var/faults.json").write_text(json.dumps(rows, indent=2))
