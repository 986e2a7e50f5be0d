"""The records of overclouds' hosts."""

import copy
from typing import Any

from openstack.connection import Connection

from contract.conftest import Api
from contract.overcloud_helpers import ask_for, be_local, deployed, ended, plan, project, put, worker
from skywright.db.jobs import Host

__all__ = ["deployed", "project", "worker"]


def test_hosts_can_be_added_and_removed_but_controllers_only_replaced(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    body = plan()
    body["roles"]["computes"].append("three")
    body["hosts"]["three"] = {"address": "10.0.0.13", "data_address": "172.16.0.13/24"}
    answer = put(api, admin, body)
    admin.session.post(f"{api.url}/v1/jobs/{answer['job']['id']}/cancel")
    ended(api, admin, answer)
    assert {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]} >= {"one", "three"}
    replaced = plan()
    replaced["hosts"]["one"]["address"] = "10.0.0.14"
    ended(api, admin, put(api, admin, replaced))
    hosts = {host["name"]: host for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert "three" not in hosts
    assert hosts["one"]["variables"]["ansible_host"] == "10.0.0.14"
    other = plan()
    other["roles"]["controllers"] = ["four"]
    other["hosts"]["four"] = other["hosts"].pop("one")
    assert "Controllers cannot be removed: one" in put(api, admin, other, 409)
    ended(api, admin, put(api, admin, plan()))


def test_hosts_belong_to_one_cloud(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    other = plan("other", 1)
    other["hosts"]["two"] = other["hosts"].pop("other-two")
    other["roles"] |= {"computes": ["two"], "networks": ["two"]}
    assert "two is a host of overcloud ha" in put(api, admin, other, 409)
    with api.cloud.database.write() as session:
        session.add(Host(name="mine", groups=["computes"], variables={"ansible_host": "10.1.0.11"}))
    assert "10.1.0.11 is also the address of host mine" in put(api, admin, plan("other", 1), 409)
    named = plan("other", 2)
    named["hosts"]["mine"] = named["hosts"].pop("other-two")
    named["roles"] |= {"computes": ["mine"], "networks": ["mine"]}
    assert "there is another host mine" in put(api, admin, named, 409)
    assert ask_for(api, admin, "GET", "overclouds/other", None, 404)
    with api.cloud.database.write() as session:
        session.get_one(Host, "two").state = "maintenance"
    assert "two is in maintenance" in put(api, admin, plan(), 409)
    with api.cloud.database.write() as session:
        session.get_one(Host, "two").state = "enabled"


def test_hosts_of_a_corrected_plan_are_removed_from_the_records(api: Api, admin: Connection) -> None:
    be_local(api, "typo-one", "typo-two")
    wrong = plan("typo", 3)
    ended(api, admin, ask_for(api, admin, "POST", "overclouds/typo/plan", {"plan": wrong}, 202))
    right = copy.deepcopy(wrong)
    right["hosts"]["typo-two"]["address"] = right["hosts"]["typo-one"].pop("address")
    right["hosts"]["typo-one"]["address"] = "10.3.0.12"
    right["hosts"]["typo-good"] = right["hosts"].pop("typo-one")
    right["roles"]["controllers"] = ["typo-good"]
    answer = ask_for(api, admin, "POST", "overclouds/typo/plan", {"plan": right}, 202)
    names = {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert "typo-one" not in names and "typo-good" in names
    assert "has not ended" in ask_for(api, admin, "DELETE", "overclouds/typo?forget_only=true", None, 409)
    admin.session.post(f"{api.url}/v1/jobs/{answer['job']['id']}/cancel")
    ended(api, admin, answer)
    ask_for(api, admin, "DELETE", "overclouds/typo?forget_only=true", None, 202)
    names = {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert not {"typo-good", "typo-two"} & names


def test_two_clouds_are_not_deployed_in_one_run(api: Api, admin: Connection) -> None:
    jobs = []
    for name, number in (("left", 4), ("right", 5)):
        be_local(api, f"{name}-one", f"{name}-two")
        jobs.append(put(api, admin, plan(name, number)))
    found = [ended(api, admin, job) for job in jobs]
    assert [job["state"] for job in found] == ["successful", "successful"]
    assert found[0]["run_id"] != found[1]["run_id"]
    for name in ("left", "right"):
        ask_for(api, admin, "DELETE", f"overclouds/{name}?forget_only=true", None, 202)
