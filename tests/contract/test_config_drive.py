"""What a server's config drive says, and when it changes: with the server, and by a hard reboot, as users are told.

Password: https://docs.openstack.org/api-ref/compute/#create-server ("adminPass", given or made by Nova).
"""

import json
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.drift_helpers import FakeHosts
from skywright.services.compute.tables import Server


@pytest.fixture(scope="module")
def things(api: Api) -> Fixtures:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def hosts(api: Api, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    return hosts


class Made:
    """A server of demo's, and the config drive that was sent to its host last."""

    def __init__(self, api: Api, nova: Nova, things: Fixtures, **more: Any) -> None:
        self.api, self.nova, self.things = api, nova, things
        self.answer = nova("POST", "/servers", things.body("drive", **more)).json()["server"]
        self.path = f"/servers/{self.answer['id']}"

    def drive(self, **options: Any) -> dict[str, Any]:
        """Run what is queued: the config drive in the server's item."""
        drives = [
            item["config_drive"]
            for work in run_jobs(self.api.cloud, **options)
            for kinds in work.items.values()
            for item in kinds.get("servers", [])
        ]
        assert len(drives) == 1
        return drives[0]

    def act(self, **action: Any) -> dict[str, Any]:
        assert self.nova("POST", f"{self.path}/action", action).status_code == 202
        return self.drive()


@pytest.fixture
def server(api: Api, nova: Nova, things: Fixtures) -> Iterator[Made]:
    made = Made(api, nova, things, metadata={"role": "web"})
    yield made
    nova("DELETE", made.path)
    run_jobs(api.cloud)


def metadata(made: Made, _demo: Connection, _things: Fixtures) -> None:
    assert made.nova("POST", f"{made.path}/metadata", {"metadata": {"role": "db"}}).status_code == 200


def name(made: Made, _demo: Connection, _things: Fixtures) -> None:
    change = {"server": {"name": "renamed", "hostname": "renamed"}}
    assert made.nova("PUT", made.path, change).status_code == 200


def network_name(_made: Made, demo: Connection, things: Fixtures) -> None:
    demo.network.update_network(things.network, name="other", description="another")


def second_subnet(_made: Made, demo: Connection, things: Fixtures) -> None:
    found = [subnet for subnet in demo.network.subnets(network_id=things.network) if subnet.cidr == "10.11.0.0/24"]
    if not found:
        demo.network.create_subnet(network_id=things.network, ip_version=4, cidr="10.11.0.0/24")


def name_servers(_made: Made, demo: Connection, things: Fixtures) -> None:
    demo.network.update_subnet(things.subnet, dns_nameservers=["192.0.2.53"])


CHANGES = (metadata, name, network_name, second_subnet, name_servers)
Change = Callable[[Made, Connection, Fixtures], None]


@pytest.mark.parametrize("change", CHANGES)
def test_a_server_whose_host_nobody_touched_has_not_drifted(
    api: Api, demo: Connection, hosts: FakeHosts, server: Made, change: Change
) -> None:
    first = server.drive()
    change(server, demo, server.things)
    run_jobs(api.cloud)
    assert demo.session.post(f"{api.url}/v1/drift", json={}).status_code == 200
    [compared] = hosts.drafts[-1].items["h1"]["servers"]
    assert compared["config_drive"] == first
    for action in ({"reboot": {"type": "SOFT"}}, {"os-stop": None}, {"os-start": None}):
        assert server.act(**action) == first


def test_a_rename_is_no_drift(api: Api, admin: Connection, hosts: FakeHosts, server: Made) -> None:
    server.drive()
    identifier = server.answer["id"]
    before, after = {"name": "drive", "vcpus": 1}, {"name": "renamed", "vcpus": 1}
    for vcpus, texts in ((1, []), (2, ["its definition differs: vcpus"])):
        domain = {"definition": before | {"vcpus": vcpus}, "power": "running"}
        hosts.say("h1", "libvirt_domain", identifier, before=domain, after=domain | {"definition": after})
        report = admin.session.post(f"{api.url}/v1/drift", json={}).json()
        assert [one["text"] for found in report["resources"] for one in found["differences"]] == texts


def test_a_hard_reboot_brings_what_changed(api: Api, demo: Connection, things: Fixtures, server: Made) -> None:
    first = server.drive()
    for change in CHANGES:
        change(server, demo, things)
    run_jobs(api.cloud)
    second = server.act(reboot={"type": "HARD"})
    assert second["meta_data"]["meta"] == {"role": "db"} and second["meta_data"]["name"] == "renamed"
    assert second["network_data"]["services"] == [{"type": "dns", "address": "192.0.2.53"}]
    assert second["meta_data"]["admin_pass"] == first["meta_data"]["admin_pass"]
    assert server.act(reboot={"type": "SOFT"}) == second


def test_a_hard_reboot_that_did_not_happen_brought_nothing(api: Api, nova: Nova, server: Made) -> None:
    first = server.drive()
    metadata(server, *[None] * 2)  # type: ignore[arg-type]
    assert nova("POST", f"{server.path}/action", {"reboot": {"type": "HARD"}}).status_code == 202
    sent = server.drive(error="h1 is unreachable", unreachable=True)
    assert sent["meta_data"]["meta"] == {"role": "db"}
    assert nova("GET", server.path).json()["server"]["status"] == "ACTIVE"
    assert server.act(reboot={"type": "SOFT"}) == first


def test_a_password_is_made_and_reaches_the_guest(api: Api, server: Made, nova: Nova) -> None:
    password = server.answer["adminPass"]
    assert len(password) == 12 and set(password) <= set(string.ascii_letters + string.digits)
    assert server.drive()["meta_data"]["admin_pass"] == password
    for path in (server.path, "/servers/detail"):
        assert password not in nova("GET", path).text


def test_a_given_password_is_answered_and_reaches_the_guest(api: Api, nova: Nova, things: Fixtures) -> None:
    made = Made(api, nova, things, adminPass="my own", min_count=2)
    assert made.answer["adminPass"] == "my own"
    drives = [
        item["config_drive"] for work in run_jobs(api.cloud) for item in next(iter(work.items.values()))["servers"]
    ]
    assert [drive["meta_data"]["admin_pass"] for drive in drives] == ["my own", "my own"]


def test_without_a_config_drive_there_is_no_password(api: Api, nova: Nova, things: Fixtures) -> None:
    refused = nova("POST", "/servers", things.body(config_drive=False, adminPass="my own"))
    assert refused.status_code == 400 and "config drive" in refused.json()["badRequest"]["message"]
    made = Made(api, nova, things, config_drive=False)
    assert "adminPass" not in made.answer and made.drive() is None


def test_a_reservation_is_answered_alone(api: Api, nova: Nova, things: Fixtures) -> None:
    answer = nova("POST", "/servers", things.body(return_reservation_id=True))
    assert list(answer.json()) == ["reservation_id"]
    run_jobs(api.cloud)


def test_the_records_keep_the_password_in_one_place(api: Api, server: Made) -> None:
    server.drive()
    with api.cloud.database.read() as session:
        row = session.get_one(Server, server.answer["id"])
        assert row.admin_pass == server.answer["adminPass"]
        assert row.drive and row.admin_pass not in json.dumps(row.drive)
        assert row.next_drive is None
    server.nova("DELETE", server.path)
    run_jobs(api.cloud)
    with api.cloud.database.read() as session:
        row = session.get_one(Server, server.answer["id"])
        assert row.deleted_at and (row.admin_pass, row.drive) == (None, None)
