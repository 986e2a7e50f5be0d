"""Records of runs have no secrets; a replay reads them from the database."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jobs_fake
import pytest

from skywright.cloud import Cloud
from skywright.db.jobs import Host, Job
from skywright.jobs.runs import records, replay
from workers import working

CANARY = "canary-81d0c3"


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return jobs_fake.make_cloud(tmp_path)


@pytest.fixture
def ran(cloud: Cloud) -> Job:
    """A job that was run, with secrets in its item and in its host's variables."""
    with cloud.database.write() as session:
        host = session.get_one(Host, "here")
        host.variables = {**host.variables, "ansible_become_password": CANARY}
    secrets = {"config_drive": {"user_data": CANARY}, "password": CANARY, "url": f"http://h/f?signature={CANARY}"}
    job_id = jobs_fake.submit(cloud, "x", item={**secrets, "data": "{{ 1 + 1 }}"})
    with working(cloud):
        (job,) = jobs_fake.ended(cloud, job_id)
    assert job.state == "successful"
    return job


def change(cloud: Cloud, job: Job, **item: Any) -> None:
    """Change the item that the job would have now."""
    with cloud.database.write() as session:
        row = session.get_one(Job, job.sequence)
        row.arguments = {**row.arguments, "item": {**row.arguments["item"], **item}}


def test_the_record_has_the_run_without_secrets(cloud: Cloud, ran: Job) -> None:
    path = cloud.settings.run_dir / str(ran.run_id) / "record.json"
    assert CANARY not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]
    record = json.loads(path.read_text())
    assert record["state"] == "successful"
    assert record["jobs"][ran.id]["items"] == [
        {"host": "here", "module": "write_files", "id": ran.id, "changed": True, "status": "written"}
    ]
    assert record["items"]["here"]["files"][0]["data"] == "{{ 1 + 1 }}"
    assert len(record["version"]["sha256"]) == 64


def test_a_replay_sends_the_same_again(cloud: Cloud, ran: Job) -> None:
    found = replay.prepare(cloud, ran.id[:12])
    assert (found.differences, found.missing) == ([], [])
    path = replay.write(cloud, found)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    written = cloud.settings.root / f"file-{ran.id}"
    written.unlink()
    command = replay.command(found, path, check=False)
    environment = {
        "ANSIBLE_CONFIG": "ansible.cfg",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/root",
    }
    result = subprocess.run(
        command, check=False, cwd=cloud.settings.project_dir, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(written.read_text()) == "{{ 1 + 1 }}"
    (host,) = found.inventory["all"]["hosts"].values()
    assert host["ansible_become_password"] == CANARY
    (item,) = found.variables["skywright_items"]["here"]["files"]
    assert (item["config_drive"], item["password"]) == ({"user_data": CANARY}, CANARY)


def test_differences_are_shown_without_secrets(cloud: Cloud, ran: Job) -> None:
    change(cloud, ran, data="other", password=f"{CANARY}-2", url="http://h/f?signature=another")
    found = replay.prepare(cloud, str(ran.run_id))
    where = f"here files {ran.id}"
    changed = f"{where}: data has changed: '{{{{ 1 + 1 }}}}', now 'other'"
    assert found.differences == [changed, f"{where}: password has changed"]
    (item,) = found.variables["skywright_items"]["here"]["files"]
    assert item["data"] == "{{ 1 + 1 }}"


def test_missing_secrets_are_reported(cloud: Cloud, ran: Job) -> None:
    with cloud.database.write() as session:
        session.delete(session.get_one(Job, ran.sequence))
    found = replay.prepare(cloud, str(ran.run_id))
    assert f"here files {ran.id} password" in found.missing
    assert f"here files {ran.id}: not sent any more" in found.differences


def test_changed_playbooks_and_unknown_runs_are_reported(
    cloud: Cloud, ran: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"collection": "9.9.9", "commit": None, "sha256": "0" * 64}
    monkeypatch.setattr(records, "version", lambda _project: other)
    assert "9.9.9 (000000000000) now" in replay.prepare(cloud, str(ran.run_id)).differences[0]
    with pytest.raises(replay.ReplayError, match="No recorded runs"):
        replay.prepare(cloud, "none-such")
