"""Plans: they show what a request would change, and change nothing."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import select, text

from contract.compute_helpers import Fixtures, Nova, run_jobs
from contract.conftest import Api
from contract.plan_helpers import Plans, admin_plan, dump, fixtures, plan, unchanged
from skywright.db.jobs import Host

__all__ = ["admin_plan", "fixtures", "plan", "unchanged"]

AUTH = {"auth": {"identity": {"methods": ["token"], "token": {"id": "none"}}}}


@pytest.fixture
def server(api: Api, demo: Connection, fixtures: Fixtures) -> Iterator[str]:
    """The id of a server that is ACTIVE in the database."""
    nova = Nova(demo, api.url)
    identifier = nova("POST", "/servers", fixtures.body("there")).json()["server"]["id"]
    run_jobs(api.cloud)
    yield identifier
    nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)


@pytest.mark.usefixtures("unchanged")
def test_plan_of_a_new_server(admin_plan: Plans, fixtures: Fixtures) -> None:
    body = fixtures.body("web", adminPass="canary-pass", user_data="Y2FuYXJ5")
    found = admin_plan("compute", "POST", "/v2.1/servers", body)
    assert found["request"]["status"] == 202
    identifier = found["request"]["body"]["server"]["id"]
    [job] = found["jobs"]
    assert (job["playbook"], job["action"], job["error"]) == ("server", "create", None)
    assert job["resources"] == [{"type": "server", "id": identifier}]
    [host] = found["hosts"]
    assert host["host"] == "null-host"
    [item] = host["items"]
    assert (item["kind"], item["module"], item["action"], item["id"]) == (
        "server",
        "libvirt_domain",
        "create",
        identifier,
    )
    assert item["diff"]["before"] == {} and item["diff"]["after"]["power"] == "running"
    assert (found["changed"], found["recorded"], found["complete"]) == (1, True, True)
    assert "canary" not in str(found) and "Y2FuYXJ5" not in str(found)


@pytest.mark.usefixtures("unchanged")
def test_users_see_their_items_but_no_hosts(plan: Plans, fixtures: Fixtures) -> None:
    found = plan("compute", "POST", "/v2.1/servers", fixtures.body("web"))
    assert found["complete"] and found["changed"] == 1
    [host] = found["hosts"]
    assert host["host"] is None and "diff" not in host["items"][0]
    assert "null-host" not in str(found)


def test_actions_and_deletion(api: Api, plan: Plans, server: str) -> None:
    before = dump(api.cloud)
    action = f"/v2.1/servers/{server}/action"
    for body, name in (
        ({"os-stop": None}, "stop"),
        ({"reboot": {"type": "HARD"}}, "reboot"),
        ({"forceDelete": None}, "delete"),
    ):
        found = plan("compute", "POST", action, body)
        assert (found["request"]["status"], [job["action"] for job in found["jobs"]]) == (202, [name])
    found = plan("compute", "DELETE", f"/v2.1/servers/{server}")
    # Domains of a null host exist only during a run, so there is nothing to remove.
    assert (found["request"], found["changed"], found["recorded"]) == ({"status": 204, "body": None}, 0, True)
    assert found["complete"]
    assert dump(api.cloud) == before


def test_plan_of_a_change_of_a_servers_port(api: Api, demo: Connection, plan: Plans, server: str) -> None:
    (port,) = demo.network.ports(device_id=server)
    before = dump(api.cloud)
    for values, actions in (
        ({"port_security_enabled": False}, ["replug"]),
        ({"allowed_address_pairs": [{"ip_address": "10.9.0.200"}]}, ["replug"]),
        ({"fixed_ips": [{"ip_address": "10.9.0.77"}]}, ["replug"]),
        ({"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "10.9.0.1"}]}, ["replug"]),
        ({"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": None}]}, []),
        ({"dns_name": "other"}, ["replug"]),
        ({"port_security_enabled": True, "name": "new"}, []),
    ):
        found = plan("network", "PUT", f"/v2.0/ports/{port.id}", {"port": values})
        assert (found["request"]["status"], [job["action"] for job in found["jobs"]]) == (200, actions)
    assert dump(api.cloud) == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("service", "method", "path", "body", "status"),
    [
        ("compute", "POST", "/v2.1/servers", {"server": {"name": ""}}, 400),
        ("compute", "POST", "/v2.1/servers/none/action", {"os-stop": None}, 404),
        ("compute", "POST", "/v2.1/flavors", {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}}, 403),
        ("network", "DELETE", "/v2.0/networks/none", None, 404),
        ("image", "PATCH", "/v2/images/none", [], 415),
        ("identity", "DELETE", "/v3/users/none", None, 403),
        ("compute", "PUT", "/nothing", None, 404),
        ("compute", "POST", "//v1/plan", {}, 404),
    ],
)
def test_plan_of_a_refused_request(  # noqa: PLR0917 - a row of the table
    plan: Plans, service: str, method: str, path: str, body: Any, status: int, fixtures: Fixtures
) -> None:
    found = plan(service, method, path, body)
    assert found["request"]["status"] == status, found
    assert found["request"]["body"], "the service's own error"
    assert (found["jobs"], found["hosts"], found["changed"], found["recorded"]) == ([], [], 0, False)
    assert found["complete"] is False


def test_plan_of_a_server_that_fits_on_no_host(
    api: Api, admin: Connection, admin_plan: Plans, fixtures: Fixtures
) -> None:
    huge = admin.compute.create_flavor(name="huge", vcpus=1, ram=1 << 20, disk=1)
    before = dump(api.cloud)
    found = admin_plan("compute", "POST", "/v2.1/servers", fixtures.body("huge", flavorRef=huge.id))
    assert found["request"]["status"] == 202
    assert "No valid host" in found["jobs"][0]["error"] and "free memory" in found["jobs"][0]["error"]
    assert (found["hosts"], found["changed"], found["complete"]) == ([], 0, False)
    assert dump(api.cloud) == before
    admin.compute.delete_flavor(huge)


@pytest.mark.usefixtures("unchanged")
def test_plan_that_changes_only_records(admin_plan: Plans, plan: Plans) -> None:
    found = plan("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "mine"}})
    assert found["request"]["status"] in (200, 201)
    assert found["request"]["body"]["keypair"]["private_key"] == "***"
    assert (found["jobs"], found["recorded"], found["complete"]) == ([], True, True)
    found = plan("network", "POST", "/v2.0/networks", {"network": {"name": "planned"}})
    assert found["request"]["status"] == 201 and found["recorded"]
    found = plan("image", "POST", "/v2/images", {"name": "planned"})
    assert found["request"]["status"] == 201 and found["recorded"]


def test_microversions_and_media_types(admin_plan: Plans, plan: Plans, demo: Connection, fixtures: Fixtures) -> None:
    old = plan("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "mine"}})
    new = plan(
        "compute",
        "POST",
        "/v2.1/os-keypairs",
        {"keypair": {"name": "mine", "type": "ssh"}},
        headers={"OpenStack-API-Version": "compute 2.2"},
    )
    assert (old["request"]["status"], new["request"]["status"]) == (200, 201)
    image = demo.image.create_image(name="mine", disk_format="raw", container_format="bare")
    patch = [{"op": "replace", "path": "/name", "value": "other"}]
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    found = plan("image", "PATCH", f"/v2/images/{image.id}", patch, headers=media)
    assert (found["request"]["status"], found["request"]["body"]["name"]) == (200, "other")
    assert demo.image.get_image(image.id).name == "mine"
    demo.image.delete_image(image)


@pytest.mark.usefixtures("unchanged")
def test_requests_that_cannot_be_planned(plan: Plans, admin_plan: Plans, fixtures: Fixtures) -> None:
    own = {"service": "compute", "method": "DELETE", "path": "/v2.1/servers/x"}
    for wanted, reason in (
        (("operations", "POST", "/plan", own), "service"),
        (("operations", "PUT", "/hosts/x", {"host": {}}), "service"),
        (("volume", "POST", "/v3/volumes", {}), "service"),
        (("identity", "POST", "/v3/auth/tokens", AUTH), "tokens"),
        (("compute", "GET", "/v2.1/servers", None), "method"),
        (("compute", "POST", "v2.1/servers", None), "path"),
        (("compute", "POST", "/v2.1/ser vers", None), "path"),
    ):
        answer = admin_plan.ask(*wanted)
        assert answer.status_code == 400, wanted
        assert reason in answer.json()["error"]["message"], wanted
    answer = plan.ask("compute", "DELETE", "/v2.1/servers/x", headers={"X-Auth-Token": "x"})
    assert answer.status_code == 400


def test_image_data_cannot_be_planned(api: Api, plan: Plans, demo: Connection) -> None:
    image = demo.image.create_image(name="mine", disk_format="raw", container_format="bare")
    for path in ("file", "stage"):
        media = {"Content-Type": "application/octet-stream"}
        answer = plan.ask("image", "PUT", f"/v2/images/{image.id}/{path}", "data", headers=media)
        assert answer.status_code == 400 and "cannot be planned" in answer.json()["error"]["message"]
    assert demo.image.get_image(image.id).status == "queued"
    assert not list(api.cloud.settings.image_dir.glob("*"))
    demo.image.stage_image(image, data=b"data" * 128)
    answer = plan.ask("image", "POST", f"/v2/images/{image.id}/import", {"method": {"name": "glance-direct"}})
    assert answer.status_code == 400
    assert [path.name.partition(".")[0] for path in api.cloud.settings.image_dir.glob("*")] == [image.id]
    demo.image.delete_image(image)


def test_a_planned_deletion_keeps_the_image_data(api: Api, plan: Plans, demo: Connection) -> None:
    image = demo.image.create_image(name="mine", disk_format="raw", container_format="bare", data=b"data" * 128)
    found = plan("image", "DELETE", f"/v2/images/{image.id}")
    assert [(job["playbook"], job["action"]) for job in found["jobs"]] == [("image", "delete")]
    assert demo.image.get_image(image.id).status == "active"
    assert demo.image.download_image(image).content == b"data" * 128
    demo.image.delete_image(image)
    run_jobs(api.cloud)


def test_a_console_log_cannot_be_planned(plan: Plans, server: str) -> None:
    began = time.monotonic()
    answer = plan.ask("compute", "POST", f"/v2.1/servers/{server}/action", {"os-getConsoleOutput": {}})
    assert answer.status_code == 400 and "console" in answer.json()["error"]["message"]
    assert time.monotonic() - began < 5


def test_plan_on_an_unreachable_host(api: Api, admin_plan: Plans, server: str) -> None:
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    with api.cloud.database.write() as session:
        for host in session.scalars(select(Host)):
            host.variables = host.variables | gone | {"ansible_connection": "ssh"}
    found = admin_plan("compute", "POST", f"/v2.1/servers/{server}/action", {"os-stop": None})
    assert not found["complete"] and found["changed"] == 0
    assert "unreachable" in found["jobs"][0]["error"]
    assert "unreachable" in found["hosts"][0]["items"][0]["error"]
    with api.cloud.database.write() as session:
        session.execute(text("UPDATE host SET variables = json_set(variables, '$.ansible_connection', 'local')"))


def test_plan_on_a_host_in_maintenance(api: Api, plan: Plans, server: str) -> None:
    path = f"/v2.1/servers/{server}/action"
    assert plan("compute", "POST", path, {"os-stop": None})["jobs"][0]["waiting_for"] is None
    with api.cloud.database.write() as session:
        session.execute(text("UPDATE host SET state = 'maintenance'"))
    found = plan("compute", "POST", path, {"os-stop": None})
    with api.cloud.database.write() as session:
        session.execute(text("UPDATE host SET state = 'enabled'"))
    assert "maintenance" in found["jobs"][0]["waiting_for"] and found["complete"]


def test_planned_rights_are_not_cached(api: Api, admin: Connection, admin_plan: Plans) -> None:
    """Identity caches what it read in a transaction; it must never cache planned rights."""
    alt, role = admin.identity.find_user("alt"), admin.identity.find_role("admin")
    project = admin.identity.find_project("alt")
    path = f"/v3/projects/{project.id}/users/{alt.id}/roles/{role.id}"
    with api.connect("alt", "alt") as connection:
        found = admin_plan("identity", "PUT", path)
        assert found["request"]["status"] == 204 and found["recorded"]
        admin.identity.create_user(name="unrelated", password="x")  # the next real change of identity
        answer = connection.session.get(f"{api.url}/identity/v3/users", raise_exc=False)
        assert answer.status_code == 403
    assert "admin" not in {
        grant.role["id"] for grant in admin.identity.role_assignments(user_id=alt.id) if grant.role["id"] == role.id
    }


def test_plans_and_requests_do_not_affect_each_other(
    api: Api, plan: Plans, demo: Connection, fixtures: Fixtures
) -> None:
    nova = Nova(demo, api.url)
    made: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            answer = nova("POST", "/servers", fixtures.body(f"real-{len(made)}"))
            assert answer.status_code == 202, answer.text
            made.append(answer.json()["server"]["id"])
            time.sleep(0.05)
            if len(made) >= 9:
                return

    with ThreadPoolExecutor(5) as pool:
        real = pool.submit(work)
        bodies = [fixtures.body(f"planned-{number}") for number in range(6)]
        plans = list(pool.map(lambda body: plan("compute", "POST", "/v2.1/servers", body), bodies))
        over.set()
        real.result()
    assert all(found["complete"] for found in plans)
    names = {server["name"] for server in nova("GET", "/servers").json()["servers"]}
    assert {f"real-{number}" for number in range(len(made))} <= names
    assert not {name for name in names if name.startswith("planned")}
    run_jobs(api.cloud)
    with api.cloud.database.read() as session:
        sequences = list(session.scalars(text("SELECT sequence FROM job ORDER BY sequence")))
    if api.cloud.database.sqlite:  # MariaDB never reuses a number
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences))), "plans use up no numbers"
    for identifier in made:
        nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)


def test_no_lock_is_held_while_ansible_runs(
    api: Api, plan: Plans, demo: Connection, fixtures: Fixtures, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, go_on, run = threading.Event(), threading.Event(), api.cloud.planner.run

    def slow(draft: Any) -> Any:
        running.set()
        assert go_on.wait(20)
        return run(draft)

    monkeypatch.setattr(api.cloud.planner, "run", slow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plan, "compute", "POST", "/v2.1/servers", fixtures.body("planned"))
        assert running.wait(20)
        demo.network.delete_network(demo.network.create_network(name="meanwhile"))
        go_on.set()
        assert waiting.result()["complete"]
    run_jobs(api.cloud)


def test_audit_trail_and_metrics_have_plans_but_not_the_planned_requests(
    api: Api, plan: Plans, demo: Connection, fixtures: Fixtures
) -> None:
    def paths() -> list[str]:
        api.app.audit_writer.flush()
        with api.cloud.database.read() as session:
            return list(session.scalars(text("SELECT path FROM audit ORDER BY sequence")))

    assert demo.auth_token
    before, counted = paths(), requests.get(f"{api.url}/metrics", timeout=5).text
    plan("compute", "POST", "/v2.1/servers", fixtures.body("planned"))
    plan("compute", "DELETE", "/v2.1/servers/none")
    assert [path.removeprefix("/v1") for path in paths()[len(before) :]] == ["/plan"] * 2
    after = requests.get(f"{api.url}/metrics", timeout=5).text

    def compute(metrics: str) -> list[str]:
        return [line for line in metrics.splitlines() if 'service="compute"' in line and "_count" in line]

    assert compute(after) == compute(counted) != []
