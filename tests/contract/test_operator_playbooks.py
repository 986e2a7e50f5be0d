"""Operator playbooks, with a real worker and Ansible on this machine."""

import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import yaml
from openstack.connection import Connection

from contract.conftest import Api, job_ended, make_api
from skywright.db import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.db.schedules import Schedule
from skywright.jobs.runs import records, replay
from skywright.services.operations.automation import schedules
from workers import working

HOSTILE = "{{ lookup('pipe', 'touch " + "%s/pwned') }}\nnext: line"
SECRET = "canary-of-the-survey"

GREET = """---
- name: Greet
  hosts: all
  gather_facts: false
  tasks:
    - name: Write what came
      ansible.builtin.copy:
        content: "{{ {'greeting': greeting, 'times': times, 'pin': pin} | to_json }}"
        dest: "{{ directory }}/{{ inventory_hostname }}.json"
        mode: "0600"
      no_log: true
    - name: Set the report
      ansible.builtin.set_fact:
        operator_report: "greeted {{ times }} times"
"""
SURVEY = {
    "greeting": {"required": True},
    "times": {"type": "int", "default": 2, "max": 5},
    "pin": {"no_log": True, "required": True},
    "directory": {"required": True},
}
FAIL = """---
- name: Fail on one
  hosts: all
  gather_facts: false
  tasks:
    - name: Refuse
      ansible.builtin.fail:
        msg: "not on {{ inventory_hostname }}"
      when: inventory_hostname == 'there'
"""
LOCAL = """---
- name: Fail here
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Ask somebody
      ansible.builtin.fail:
        msg: nobody answered
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that checks ten times a second for due schedules, because its clock always shows the end of a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedules, "time", SimpleNamespace(time=lambda: 59.9))
        yield from make_api(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def directory(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's playbooks."""
    path = tmp_path_factory.mktemp("playbooks")
    api.cloud.settings.operator_playbooks = path
    for name, text in (("greet", GREET), ("fail", FAIL), ("local", LOCAL), ("broken", "---\n")):
        (path / f"{name}.yml").write_text(text)
    survey = {"argument_specs": {"main": {"short_description": "Greet.", "options": SURVEY}}}
    (path / "greet.survey.yml").write_text(yaml.safe_dump(survey))
    (path / "broken.survey.yml").write_text("argument_specs: {main: {options: {a: {type: list}}}}")
    return path


@pytest.fixture(scope="module", autouse=True)
def worker(api: Api, directory: Path) -> Iterator[None]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    with api.cloud.database.write() as session:
        session.add(Host(name="here", groups=["computes"], variables=local))
        session.add(Host(name="there", groups=["networks"], variables=local))
        session.add(Host(name="away", variables=local, state="maintenance"))
    api.cloud.settings.observe_seconds = 0
    with working(api.cloud):
        yield


def run(api: Api, connection: Connection, name: str, status: int = 202, **body: Any) -> Any:
    answer = connection.session.post(f"{api.url}/v1/playbooks/{name}/run", json=body, raise_exc=False)
    assert answer.status_code == status, answer.text
    return answer.json()["job"] if status == 202 else answer.json()["error"]["message"]


def variables(tmp_path: Path, **others: Any) -> dict[str, Any]:
    return {"greeting": HOSTILE % tmp_path, "pin": SECRET, "directory": str(tmp_path), **others}


def test_a_playbook_runs_as_a_job_with_unchanged_values(api: Api, admin: Connection, tmp_path: Path) -> None:
    job = run(api, admin, "greet", variables=variables(tmp_path))
    assert (job["playbook"], job["action"]) == ("operator/greet", "run")
    assert job["resources"] == [{"type": "playbook", "id": "greet"}]
    job = job_ended(api, admin, job["id"])
    assert (job["state"], job["error"], job["hosts"]) == ("successful", None, ["here", "there"])
    assert [(row["id"], row["status"]) for row in job["results"]] == [
        ("here", "greeted 2 times"),
        ("there", "greeted 2 times"),
    ]
    assert [step["name"] for step in job["steps"]] == ["Write what came", "Set the report", "Report"]
    wanted = {"greeting": HOSTILE % tmp_path, "times": 2, "pin": SECRET}
    assert orjson.loads((tmp_path / "here.json").read_bytes()) == wanted
    assert not (tmp_path / "pwned").exists()


def test_the_record_has_no_secrets_and_can_be_replayed(api: Api, admin: Connection, tmp_path: Path) -> None:
    job = job_ended(api, admin, run(api, admin, "greet", variables=variables(tmp_path), hosts=["computes"])["id"])
    assert job["hosts"] == ["here"]
    with api.cloud.database.read() as session:
        row = session.query(Job).filter_by(id=job["id"]).one()
        found = session.get_one(Run, row.run_id)
        assert SECRET not in str(row.arguments)
    record = records.load(api.cloud, found.id)
    assert record is not None
    assert SECRET not in str(record)
    assert (record["variables"]["times"], list(record["variables"]["pin"])) == (2, ["$secret"])
    again = replay.prepare(api.cloud, job["id"])
    assert (again.missing, again.differences) == ([], [])
    assert (again.variables["pin"], again.variables["times"]) == (SECRET, 2)
    assert replay.command(again, tmp_path, check=True)[1] == "playbooks/operator.yml"
    for path in api.cloud.settings.root.rglob("*"):
        if path.is_file() and path.name != "here.json":
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_failed_host_is_named_and_the_others_complete(api: Api, admin: Connection) -> None:
    job = job_ended(api, admin, run(api, admin, "fail")["id"])
    assert (job["state"], job["error"]) == ("failed", "there: Refuse: not on there")
    assert [(row["id"], row["status"]) for row in job["results"]] == [("here", "done")]


def test_a_failure_on_localhost_is_reported(api: Api, admin: Connection) -> None:
    job = job_ended(api, admin, run(api, admin, "local")["id"])
    assert (job["state"], job["error"]) == ("failed", "localhost: Ask somebody: nobody answered")


def test_jobs_of_one_playbook_run_one_after_another(api: Api, admin: Connection, tmp_path: Path) -> None:
    jobs = [run(api, admin, "greet", variables=variables(tmp_path, times=times)) for times in (1, 2, 3)]
    jobs += [run(api, admin, "fail")]
    found = [job_ended(api, admin, job["id"]) for job in jobs]
    assert len({job["run_id"] for job in found}) == 4
    for earlier, later in pairwise(found[:3]):
        assert earlier["finished_at"] <= later["started_at"]
    assert orjson.loads((tmp_path / "here.json").read_bytes())["times"] == 3


def test_unknown_hosts_are_refused(api: Api, admin: Connection) -> None:
    message = run(api, admin, "fail", 400, hosts=["away", "nowhere"])
    assert message == "There are no hosts or groups with these names: nowhere."


def test_a_host_that_was_deleted_meanwhile(api: Api, admin: Connection) -> None:
    host = {"host": {"groups": [], "variables": {}, "state": "maintenance"}}
    assert admin.session.put(f"{api.url}/v1/hosts/brief", json=host).status_code == 201
    waiting = run(api, admin, "fail", hosts=["brief"])
    admin.session.delete(f"{api.url}/v1/hosts/brief")
    job = job_ended(api, admin, waiting["id"])
    assert (job["state"], job["error"]) == ("failed", "There is no such host.")


def test_hosts_in_maintenance(api: Api, admin: Connection) -> None:
    waiting = run(api, admin, "fail", hosts=["away"])
    limit = time.monotonic() + 10
    while time.monotonic() < limit and "away" not in str(waiting["waiting_for"]):
        waiting = admin.session.get(f"{api.url}/v1/jobs/{waiting['id']}").json()["job"]
    assert waiting["waiting_for"] == "host away is in maintenance"
    admin.session.post(f"{api.url}/v1/jobs/{waiting['id']}/cancel")
    assert job_ended(api, admin, waiting["id"])["state"] == "canceled"


def test_playbooks_are_listed_with_their_surveys(api: Api, admin: Connection) -> None:
    found = {row["name"]: row for row in admin.session.get(f"{api.url}/v1/playbooks").json()["playbooks"]}
    assert sorted(found) == ["broken", "fail", "greet", "local"]
    assert found["greet"]["short_description"] == "Greet."
    assert found["greet"]["options"]["times"] == {
        "type": "int", "description": "", "required": False, "default": 2, "no_log": False, "max": 5,
    }  # fmt: skip
    assert (found["fail"]["options"], found["fail"]["error"]) == ({}, None)
    assert "broken.survey.yml" in found["broken"]["error"]
    assert admin.session.get(f"{api.url}/v1/playbooks/greet").json() == {"playbook": found["greet"]}


def test_values_that_do_not_match_the_survey_are_refused(api: Api, admin: Connection) -> None:
    message = run(api, admin, "greet", 400, variables={"times": 9, "greeting": "hi", "directory": "/", "other": 1})
    assert message == (
        "Invalid variables: other is not a variable of this playbook; pin is required; times must be at most 5."
    )
    assert "broken.survey.yml" in run(api, admin, "broken", 400)
    for name in ("none", "greet.yml", "..%2Fgreet", "operator", "%00", "a" * 300):
        answer = admin.session.post(f"{api.url}/v1/playbooks/{name}/run", json={}, raise_exc=False)
        assert answer.status_code == 404, name
    for body in ({"hosts": ["-i /etc"]}, {"hosts": "all"}, {"variables": []}, {"limit": "x"}):
        run(api, admin, "fail", 400, **body)


def test_a_scheduled_playbook_runs_at_its_time(api: Api, admin: Connection, tmp_path: Path) -> None:
    wanted = {"name": "greetings", "cron": "0 4 1 1 *", "playbook": {"name": "greet"}}
    url = f"{api.url}/v1/schedules"
    answer = admin.session.post(url, json={"schedule": wanted}, raise_exc=False)
    assert (answer.status_code, "pin is required" in answer.text) == (400, True)
    wanted["playbook"] = {"name": "greet", "variables": variables(tmp_path), "hosts": ["here"]}
    schedule = admin.session.post(url, json={"schedule": wanted}).json()["schedule"]
    assert schedule["playbook"]["variables"]["pin"] == "***"
    with api.cloud.database.write() as session:
        row = session.get_one(Schedule, schedule["id"])
        assert SECRET not in row.sealed + str(row.shown)
        row.next_at = utcnow()
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        last = admin.session.get(f"{url}/{schedule['id']}").json()["schedule"]["last_run"]
        if last and last["state"] != "running":
            break
        time.sleep(0.1)
    assert (last["state"], last["status"], len(last["jobs"])) == ("successful", 202, 1)
    assert orjson.loads((tmp_path / "here.json").read_bytes())["pin"] == SECRET
