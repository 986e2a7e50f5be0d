"""Every command of openstackclient for the offered services, once: `clients/commands` says what each does."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from string import Template

import pytest
from sqlalchemy import select

from contract.clients import table
from contract.clients.commands import GROUPS, Client, Result, client, commands, parsed
from contract.compute_helpers import add_hosts, add_image, run_jobs
from contract.conftest import PASSWORD, Api, make_api
from contract.openstack_shell import of_demo
from skywright.db.jobs import Job

TABLES = Path(__file__).parent / "clients" / "commands"
Names = dict[str, str]


class Mismatch(Exception):
    """A command did something else than its line says."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A cloud with two hosts and an image, whose jobs end well soon after they are queued."""
    for api in make_api(tmp_path / "state"):
        add_hosts(api.cloud, "host1", "host2")
        add_image(api.cloud)
        stop = threading.Event()
        worker = threading.Thread(target=_work, args=(api, stop))
        worker.start()
        yield api
        stop.set()
        worker.join()


def _work(api: Api, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        run_jobs(api.cloud, output="login: \n")


@pytest.fixture
def settled(api: Api) -> Callable[[], None]:
    """Waits until no job is left to do."""

    def wait() -> None:
        while True:
            with api.cloud.database.read() as session:
                if session.scalar(select(Job.id).where(Job.finished_at.is_(None)).limit(1)) is None:
                    return
            time.sleep(0.005)

    return wait


@pytest.fixture
def openstack(api: Api, tmp_path: Path) -> Iterator[Client]:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.symlink_to("/bin/true")
    environment = of_demo(api.url, tmp_path) | {
        "OS_USERNAME": "admin",
        "OS_PROJECT_NAME": "admin",
        "OS_COMPUTE_API_VERSION": "2.96",
        "PATH": f"{ssh.parent}:{os.environ['PATH']}",
    }
    with client(environment) as made:
        yield made


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """What lines may name from the start."""
    key = TABLES / "data" / "key.pub"
    return {
        "data": str(key.parent),
        "files": str(tmp_path),
        "password": PASSWORD,
        "size": str(key.stat().st_size),
        "version": metadata.version("python-openstackclient"),
    }


@pytest.mark.parametrize("service", GROUPS)
def test_every_command(openstack: Client, settled: Callable[[], None], names: Names, service: str) -> None:
    wrong = []
    for line in table.read(TABLES / f"{service}.txt"):
        try:
            _try(openstack, line, names)
        except Mismatch as error:
            wrong.append(f"{line.where}: {line.text}: {error}")
        settled()
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_the_tables_have_every_command(openstack: Client) -> None:
    lines = [line for service in GROUPS for line in table.read(TABLES / f"{service}.txt")]
    tried = {openstack.command(line.text.split())[0] for line in lines}
    assert tried == set().union(*map(commands, GROUPS))


def _try(openstack: Client, line: table.Line, names: Names) -> None:
    """Do *line*; a Mismatch says what is wrong with the result."""
    words = openstack.words(line, names)
    result = openstack.run(words)
    if line.refusals:
        _check_refusal(line, result)
        return
    if result.code:
        raise Mismatch(result.complaint.strip() or f"it ends with {result.code}")
    output = parsed(result.output)
    if line.keeps:
        name, *where = line.keeps
        names[name] = table.kept(output, *where)
    if line.shows is not None:
        wanted = json.loads(Template(line.shows).substitute(names))
        if not table.holds(output, wanted):
            raise Mismatch(f"it shows {table.narrowed(output, wanted)}")


def _check_refusal(line: table.Line, result: Result) -> None:
    if (result.code == 0) != line.silent:
        raise Mismatch("it is not refused")
    if not line.silent and not any(text in result.complaint for text in line.refusals):
        raise Mismatch(result.complaint.strip())
