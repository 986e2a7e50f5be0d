"""Overclouds with the API: their deployment, their other jobs, and their end."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from openstack.connection import Connection

from contract.conftest import Api
from contract.overcloud_helpers import HOSTILE, ask_for, deployed, ended, plan, project, put, worker, written
from skywright.db.jobs import Job
from skywright.jobs.runs import records, replay
from skywright.services.operations.overcloud.secrets import NAMES, passwords

__all__ = ["deployed", "project", "worker"]


def test_a_deployment_is_a_job_with_the_plans_inventory(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    assert (deployed["state"], deployed["error"], deployed["action"]) == ("successful", None, "deploy")
    assert {"type": "overcloud", "id": "ha"} in deployed["resources"]
    one, two = written(api, "one"), written(api, "two")
    assert (one["groups"], two["groups"]) == (["controllers"], ["computes", "networks"])
    assert (one["name"], one["address"], one["interface"]) == ("ha", "10.0.0.9/24", "eth0")
    assert (one["data"], two["data"], one["secrets"]) == (None, "172.16.0.12/24", len(NAMES))
    assert one["text"] == HOSTILE % api.cloud.settings.root
    assert not (api.cloud.settings.root / "pwned").exists()
    cloud = ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]
    assert (cloud["state"], cloud["deployed_at"] is not None) == ("deployed", True)
    assert cloud["endpoints"]["identity"] == "https://10.0.0.9:5000"
    plays = [event["play"] for event in deployed["events"] if event["kind"] == "playbook_on_task_start"]
    stages = ["Check all hosts", "Write what came", "Finish", "Report the hosts that completed the job"]
    assert list(dict.fromkeys(plays)) == stages


def test_hosts_of_an_overcloud_are_no_computes_of_the_undercloud(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    hosts = {host["name"]: host for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    assert (hosts["one"]["groups"], hosts["two"]["groups"]) == (["overcloud"], ["overcloud"])
    assert "vswitch_data_address" not in hosts["two"]["variables"]
    assert list(admin.compute.hypervisors()) == []
    assert "overcloud's" in ask_for(api, admin, "PUT", "hosts/two", {"host": {"groups": ["computes"]}}, 409)
    assert "overcloud's" in ask_for(api, admin, "DELETE", "hosts/two", None, 409)
    assert "overcloud's" in ask_for(api, admin, "POST", "drift", {"host": "two"}, 400)
    assert "plan" in ask_for(api, admin, "PUT", "hosts/three", {"host": {"groups": ["overcloud"]}}, 400)


def test_passwords_are_only_in_the_vault(api: Api, deployed: dict[str, Any]) -> None:
    settings = api.cloud.settings
    known = passwords(settings, "ha")
    assert written(api, "one")["admin"] == known["admin"]
    assert len(set(known.values())) == len(NAMES)
    for path in settings.root.rglob("*"):
        if path.is_file() and path.suffix != ".json" and "runs" not in path.parts:
            assert not any(secret.encode() in path.read_bytes() for secret in known.values()), path
    record = records.load(api.cloud, deployed["run_id"])
    assert list(record["variables"]["overcloud_secrets"]) == ["$secret"]  # type: ignore[index]
    assert known["admin"] not in str(record) + str(deployed)
    vault, password = settings.root / "overclouds/ha/secrets.yml", settings.key_dir / "vault.password"
    assert [path.stat().st_mode & 0o777 for path in (vault, password, vault.parent)] == [0o600, 0o600, 0o700]
    command = [Path(sys.executable).parent / "ansible-vault", "view", "--vault-password-file", password, vault]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert yaml.safe_load(shown)["overcloud_secrets"] == known


def test_unreadable_passwords_are_not_replaced(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    vault = api.cloud.settings.root / "overclouds/ha/secrets.yml"
    good = vault.read_bytes()
    vault.write_bytes(good[:-20])
    try:
        job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/status", None, 202))
    finally:
        vault.write_bytes(good)
    assert job["state"] == "failed" and "passwords cannot be read" in job["error"]


def test_a_deployment_can_be_replayed(api: Api, deployed: dict[str, Any]) -> None:
    again = replay.prepare(api.cloud, deployed["id"])
    assert (again.missing, again.differences, again.check) == ([], [], False)
    assert again.variables["overcloud_secrets"] == passwords(api.cloud.settings, "ha")
    assert sorted(again.inventory["all"]["children"]) == ["computes", "controllers", "networks"]


def test_a_plan_and_its_replay_change_nothing(
    api: Api, admin: Connection, deployed: dict[str, Any], tmp_path: Path
) -> None:
    before = written(api, "one")
    body = plan(some_text="another")
    job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/plan", {"plan": body}, 202))
    changed = {event["host"] for event in job["events"] if event.get("changed") and event.get("host")}
    assert (job["state"], changed) == ("successful", {"one", "two"})
    assert written(api, "one") == before
    assert ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"]["variables"] != body["variables"]
    again = replay.prepare(api.cloud, job["id"])
    assert replay.command(again, tmp_path, check=False)[-2:] == ["--check", "--diff"]


def test_pre_flight_problems_of_every_host_are_reported(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    body = plan()
    body["hosts"]["one"]["variables"] = {"problem": "no disk; no memory"}
    body["hosts"]["two"]["variables"] = {"problem": "no NIC"}
    job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/plan", {"plan": body}, 202))
    assert job["state"] == "failed"
    assert "one: Report every problem: no disk; no memory" in job["error"]
    assert "two: Report every problem: no NIC" in job["error"]
    assert {row["error"] for row in job["results"]} == {"no disk; no memory", "no NIC"}


def test_a_failure_names_its_host_and_task_in_job_and_cloud(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    job = ended(api, admin, put(api, admin, plan(stumble=True)))
    assert (job["state"], job["error"]) == ("failed", "one: Refuse: not on one")
    assert ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["state"] == "failed"
    assert ended(api, admin, put(api, admin, plan()))["state"] == "successful"


def test_the_status_is_kept_with_its_problems(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/status", None, 202))
    assert (job["state"], job["action"]) == ("successful", "status")
    cloud = ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]
    assert cloud["report"]["one"]["units"] == {"chrony.service": {"state": "active", "detail": "running"}}
    assert cloud["problems"] == []
    assert ask_for(api, admin, "GET", "overclouds", None, 200)["overclouds"][0]["observed_at"] == cloud["observed_at"]


def test_recovery_gives_up_the_data_of_named_hosts(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/recover", {"without": ["one"]}, 202))
    assert (job["state"], written(api, "one")["without"]) == ("successful", ["one"])
    assert "two" in ask_for(api, admin, "POST", "overclouds/ha/recover", {"without": ["two"]}, 400)


def test_maintenance_of_a_controller(api: Api, admin: Connection, deployed: dict[str, Any]) -> None:
    for body, begins in (({"host": "one"}, True), ({"host": "one", "end": True}, False)):
        job = ended(api, admin, ask_for(api, admin, "POST", "overclouds/ha/maintenance", body, 202))
        assert (job["state"], written(api, "maintenance")) == ("successful", {"host": "one", "begins": begins})
    assert "no controller" in ask_for(api, admin, "POST", "overclouds/ha/maintenance", {"host": "two"}, 400)


def test_deleting_an_overcloud_removes_the_records_of_its_hosts(
    api: Api, admin: Connection, deployed: dict[str, Any]
) -> None:
    job = ended(api, admin, ask_for(api, admin, "DELETE", "overclouds/ha", None, 202))
    assert (job["state"], job["action"], job["error"]) == ("successful", "delete", None)
    ask_for(api, admin, "GET", "overclouds/ha", None, 404)
    assert not {"one", "two"} & {host["name"] for host in admin.session.get(f"{api.url}/v1/hosts").json()["hosts"]}
    with api.cloud.database.read() as session:
        assert session.query(Job).filter_by(id=deployed["id"]).count() == 1
