"""Helpers of the compute tests: hosts, an image, a flavor, a network, and jobs that are settled without Ansible."""

from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from contract.conftest import Api
from recorded_hosts import observed
from skywright.cloud import Cloud
from skywright.core import Outcome, Work
from skywright.db import new_uuid
from skywright.jobs.engine.claim import claim, still_claimed
from skywright.jobs.engine.settle import settle
from skywright.services.image.tables import Image

GIB = 1 << 30


def run_jobs(cloud: Cloud, *, error: str | None = None, unreachable: bool = False, output: str = "") -> list[Work]:
    """Claim and settle all queued jobs like a worker, without running them: they succeed, or fail with *error*.

    *unreachable*: unreachable hosts are the only reason of the error.
    """
    works = []
    while True:
        with cloud.database.write() as session:
            taken = claim(session, cloud, "tests", new_uuid())
        if taken is None:
            return works
        works.append(taken.work)
        with cloud.database.write() as session:
            for job in still_claimed(session, taken.attempts):
                results = [{"host": host, "id": item, "output": output} for host, item in job.items]
                settle(
                    session,
                    cloud,
                    job,
                    Outcome(ok=error is None, error=error, results=results, unreachable=unreachable),
                )


def add_hosts(cloud: Cloud, *names: str, **values: Any) -> None:
    with cloud.database.write() as session:
        for index, name in enumerate(names):
            variables = {"ansible_host": f"192.0.2.{index + 1}", "vswitch_data_address": f"198.51.100.{index + 1}/24"}
            groups = ["computes", "networks"] if index == 0 else ["computes"]
            host = observed(name, groups=groups, variables=variables)
            for key, value in values.items():
                setattr(host, key, value)
            session.add(host)


def add_image(cloud: Cloud, **values: Any) -> str:
    columns = {
        "name": "guest",
        "status": "active",
        "visibility": "public",
        "disk_format": "qcow2",
        "container_format": "bare",
        "size": 20 << 20,
        "virtual_size": 64 << 20,
        "os_hash_algo": "sha512",
        "os_hash_value": "ab" * 64,
    }
    image = Image(**columns | values)
    with cloud.database.write() as session:
        session.add(image)
    return image.id


@dataclass
class Fixtures:
    """The ids that requests for servers need."""

    image: str
    flavor: str
    network: str
    subnet: str

    def body(self, name: str = "one", **more: Any) -> dict[str, Any]:
        wanted = {"name": name, "imageRef": self.image, "flavorRef": self.flavor, "networks": [{"uuid": self.network}]}
        return {"server": wanted | more}


def make_fixtures(api: Api, admin: Connection, project: Connection) -> Fixtures:
    """Create an image, a flavor, and a network of *project*."""
    flavor = admin.compute.create_flavor(name=f"small-{new_uuid()}", vcpus=1, ram=128, disk=1)
    network = project.network.create_network(name="net")
    subnet = project.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/16")
    return Fixtures(add_image(api.cloud), flavor.id, network.id, subnet.id)


class Nova:
    """Raw requests by the user of one connection, with one microversion."""

    def __init__(self, connection: Connection, url: str, version: str = "2.96") -> None:
        self._session, self._base, self.version = connection.session, f"{url}/compute/v2.1", version

    def __call__(self, method: str, path: str, body: Any = None, *, version: str | None = None, **options: Any) -> Any:
        headers = {"OpenStack-API-Version": f"compute {version or self.version}"}
        url = path if path.startswith("http") else self._base + path
        return self._session.request(
            url, method, json=body, headers=headers, raise_exc=False, authenticated=True, **options
        )
