"""`skywright schedules`, `playbooks`, `webhooks` and `jobs follow`: what they send, print and return."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from openstack.connection import Connection

from contract.conftest import PASSWORD, Api
from contract.test_follow import end, queue, start, store, task
from skywright.cli import commands
from skywright.cli.jobs import show
from skywright.db.jobs import Job

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def clouds(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clouds.yaml with the clouds `admin` and `demo`; OS_CLOUD is `demo`."""
    auth = {"auth_url": f"{api.url}/identity/v3", "password": PASSWORD, "user_domain_name": "Default"}
    clouds = {
        name: {"auth": auth | {"username": name, "project_name": name, "project_domain_name": "Default"}}
        for name in ("admin", "demo")
    }
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "demo")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def skywright(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return the output of the command line; its exit code must be *code*."""

    def run(*arguments: str, code: int = 0, cloud: str = "demo") -> str:
        monkeypatch.setenv("OS_CLOUD", cloud)
        monkeypatch.setattr(sys, "argv", ["skywright", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            commands.main()
        said = capsys.readouterr()
        assert ended.value.code == code, said
        return said.out + said.err

    return run


def test_schedules(skywright: Run, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"network": {"name": "[bold]n"}}))
    made = skywright(
        "schedules", "add", "[red]nightly", "30 2 * * *", "network", "post", "/v2.0/networks",
        "--body", f"@{tmp_path}/body.json", "--timezone", "Europe/Berlin",
    )  # fmt: skip
    identifier = made.split()[1].rstrip(",")
    listed = skywright("schedules", "list")
    for text in (identifier[:8], "[red]nightly", "30 2 * * * Europe/Berlin", "network POST /v2.0/networks"):
        assert text in listed
    assert '"name": "[bold]n"' in skywright("schedules", "show", identifier[:8])
    assert "[red]nightly: paused" in skywright("schedules", "pause", identifier[:8])
    assert "paused" in skywright("schedules", "list")
    assert "next at 20" in skywright("schedules", "resume", identifier[:8])
    assert "is removed" in skywright("schedules", "remove", identifier[:8])
    assert "0 schedules begin with" in skywright("schedules", "show", identifier, code=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "* * * * *"], "A request is SERVICE METHOD PATH"),
        (["x", "* * *", "network", "POST", "/v2.0/networks"], "is not a cron expression"),
        (["x", "* * * * *", "network", "POST", "/v2.0/networks", "--body", "{"], "The body is not JSON"),
        (["x", "* * * * *", "network", "POST", "/v2.0/networks", "--body", "@/none"], "/none cannot be read"),
        (["x", "* * * * *", "--playbook", "package_updates"], "Policy doesn't allow"),
    ],
)
def test_invalid_schedules_are_refused(skywright: Run, arguments: list[str], message: str) -> None:
    assert message in skywright("schedules", "add", *arguments, code=1)


def test_playbooks(api: Api, skywright: Run) -> None:
    listed = skywright("playbooks", "list", cloud="admin")
    for text in ("package_updates", "at_once", "int from 1 to 100", "safe, full"):
        assert text in listed
    run = ["playbooks", "run", "package_updates"]
    said = skywright(*run, "-e", "apply=no", "-e", "at_once=3", "--no-wait", cloud="admin")
    with api.cloud.database.write() as session:
        job = session.query(Job).filter_by(id=said.split()[1]).one()
        values = json.loads(api.cloud.secrets.open(job.arguments["variables"]) or b"")
        job.state = "canceled"
    assert values == {"apply": False, "at_once": 3, "kind": "safe", "refresh": True}
    for variable, message in (
        ("at_once=many", "at_once must be a whole number"),
        ("apply=perhaps", "apply must be true or false"),
        ("at_once=1000", "at_once must be at least 1 and at most 100"),
        ("nothing", "nothing is not a variable of package_updates"),
    ):
        assert message in skywright(*run, "-e", variable, code=1, cloud="admin")
    made = skywright("schedules", "add", "weekly", "0 5 * * 1", "--playbook", "package_updates", cloud="admin")
    assert "playbook package_updates" in skywright("schedules", "list", cloud="admin")
    skywright("schedules", "remove", made.split()[1].rstrip(","), cloud="admin")


def test_webhooks(api: Api, skywright: Run, demo: Connection) -> None:
    made = skywright("webhooks", "add", "https://example.org/[x]", "--state", "failed", "--description", "pager")
    identifier, secret = made.split()[1], made.split()[3]
    assert secret.startswith("whsec_")
    listed = skywright("webhooks", "list")
    assert "https://example.org/[x]" in listed
    assert "pager" in listed
    assert secret not in listed + skywright("webhooks", "show", identifier[:8])
    assert "is removed" in skywright("webhooks", "remove", identifier[:8])
    assert "is not a public address" in skywright("webhooks", "add", "http://127.0.0.1/", code=1)
    assert "Policy doesn't allow" in skywright("webhooks", "add", "https://example.org/", "--all-projects", code=1)


def test_following_a_job_ends_with_it(api: Api, skywright: Run, demo: Connection) -> None:
    good, bad = queue(api, demo.current_project_id), queue(api, demo.current_project_id)
    run_id = start(api, good)
    store(api, run_id, task("Converge [networks]"))
    end(api, good)
    said = skywright("jobs", "follow", good)
    assert f"{good[:8]} server create server s1 successful" in said
    with api.cloud.database.write() as session:
        job = session.query(Job).filter_by(id=bad).one()
        job.state, job.error, job.finished_at = "failed", "no [disk]", job.created_at
    assert "failed no [disk]" in skywright("jobs", "follow", bad, code=1)
    assert "could not be found" in skywright("jobs", "follow", "0" * 36, code=1)
    assert "server is not a resource" in skywright("jobs", "follow", "--resource", "server", code=1)


def test_following_a_project_prints_what_changes_until_it_is_interrupted(api: Api, demo: Connection) -> None:
    job_id = queue(api, demo.current_project_id)
    program = str(Path(sys.executable).with_name("skywright"))
    # A shell that runs the tests in the background makes them and their processes ignore the signal.
    command = ["env", "--default-signal=INT", "timeout", "--foreground", "60"]
    command += [program, "jobs", "follow", "--project", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert job_id[:8] in process.stdout.readline()
        store(api, start(api, job_id), task("Converge"))
        # There may be a line between them, that the job runs, before its first task.
        assert any("running 1/1 Converge" in line for line in process.stdout)
        end(api, job_id)
        assert any("successful" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_broken_stream_is_resumed(api: Api, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show.time, "sleep", lambda _seconds: None)
    real, asked, jobs = requests.get, [], []

    def flaky(url: str, **options: Any) -> requests.Response:
        asked.append(options["headers"].get("Last-Event-ID"))
        if len(asked) in (2, 3):
            raise requests.ConnectionError("the API is down")
        answer = real(url, **options)
        if len(asked) == 1:
            monkeypatch.setattr(answer, "iter_lines", partial(breaking, answer.iter_lines))
        return answer

    def breaking(lines: Callable[..., Iterator[bytes]], **options: Any) -> Iterator[bytes]:
        for line in lines(**options):
            yield line
            if line == b"event: ready":
                yield b"data: {}"
                yield b""
                break
        jobs.extend(queue(api, demo.current_project_id) for _ in range(3))
        raise requests.ConnectionError("the API is gone")

    monkeypatch.setattr(requests, "get", flaky)
    stream = show.Api().stream("/follow")
    while next(stream)[0] != "ready":
        pass
    assert [next(stream)[1]["id"] for _ in range(3)] == jobs
    stream.close()
    first, *later = asked
    assert first is None
    assert len(later) == 3
    assert len(set(later)) == 1
