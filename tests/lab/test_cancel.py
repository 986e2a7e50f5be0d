"""Canceling and deleting servers that are being built: at once, and nothing is left, neither here nor on the hosts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from lab.support import ROOT, Host, Lab, Made, eventually
from skywright.jobs.runs.rundir import open_files

pytestmark = pytest.mark.alone

SECONDS = 5
RUNS = ROOT / "var/runs"


@pytest.fixture
def new_image(made: Made, tmp_path: Path) -> Any:
    return made.empty_image(tmp_path)


@contextmanager
def no_downloads(cloud: Connection, host: Host) -> Iterator[None]:
    """Drop the API's answers to *host*, so that downloads of images wait for a long time."""
    port = urlsplit(cloud.session.get_endpoint(service_type="operations", interface="public")).port
    chain = "'{ type filter hook input priority 0; }'"
    rule = f"nft add rule inet skywright-test input tcp sport {port} drop"
    host.run(f"nft add table inet skywright-test && nft add chain inet skywright-test input {chain} && {rule}")
    try:
        yield
    finally:
        host.run("nft delete table inet skywright-test")


def processes_of(run_id: str) -> set[str]:
    """Return the processes of the run, which hold its directory's lock."""
    return {str(pid) for pid, path in open_files() if path.is_relative_to(RUNS / run_id)}


class Build:
    """A server whose create waits for its image."""

    def __init__(self, cloud: Connection, made: Made, host: Host, image: Any) -> None:
        self.cloud, self.made, self.host = cloud, made, host
        self.api = cloud.session.get_endpoint(service_type="operations", interface="public")
        self.server = made.server([made.network()], host.name, image_id=image.id)
        self.needles = {self.server.id, *made.port_needles(self.server.id)}
        eventually(lambda: made.lab.traces(self.needles) and host.modules(), 30, "its tap is there, its image is not")
        [self.job] = cloud.session.get(f"{self.api}/jobs", params={"resource": self.server.id}).json()["jobs"]
        assert processes_of(self.job["run_id"])

    def job_state(self) -> str:
        return str(self.cloud.session.get(f"{self.api}/jobs/{self.job['id']}").json()["job"]["state"])

    def assert_gone(self, begun: float) -> None:
        """Wait until no process of the run is left and nothing of the server is on any host."""

        def gone() -> bool:
            left = processes_of(self.job["run_id"]) or self.host.modules() or self.made.lab.traces(self.needles)
            return self.job_state() == "canceled" and not left

        eventually(gone, begun + SECONDS - time.monotonic(), "nothing is left of it")


def test_canceling_a_create_leaves_nothing(cloud: Connection, made: Made, lab: Lab, new_image: Any) -> None:
    with no_downloads(cloud, lab["host2"]):
        build = Build(cloud, made, lab["host2"], new_image)
        begun = time.monotonic()
        assert cloud.session.post(f"{build.api}/jobs/{build.job['id']}/cancel").status_code == 202
        build.assert_gone(begun)
    server = cloud.compute.get_server(build.server.id)
    assert (server.status, server.compute_host, server.task_state) == ("ERROR", None, None)
    assert server.fault["message"] == "The job was canceled"
    made.delete(server)


def test_deleting_a_server_that_is_being_built_ends_its_create(
    cloud: Connection, made: Made, lab: Lab, new_image: Any
) -> None:
    with no_downloads(cloud, lab["host2"]):
        build = Build(cloud, made, lab["host2"], new_image)
        begun = time.monotonic()
        made.delete(build.server)
        build.assert_gone(begun)
