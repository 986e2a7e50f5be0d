"""Every command of openstackclient for the offered services, once: `clients/commands` has the expected results."""

import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from contract.clients import document, table
from contract.clients.cloud import running_cloud, settle
from contract.clients.commands import GROUPS, Client, Result, client, commands, parsed
from contract.clients.table import Mismatch
from contract.conftest import PASSWORD, Api
from contract.openstack_shell import of_demo

TABLES = Path(__file__).parent / "clients" / "commands"
Names = dict[str, str]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_cloud(tmp_path / "state") as api:
        yield api


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
    """Return the names that all lines may use."""
    key = TABLES / "data" / "key.pub"
    return {
        "data": str(key.parent),
        "files": str(tmp_path),
        "password": PASSWORD,
        "size": str(key.stat().st_size),
        "version": metadata.version("python-openstackclient"),
    }


@pytest.mark.parametrize("service", GROUPS)
def test_every_command(openstack: Client, api: Api, names: Names, service: str) -> None:
    wrong = []
    for line in table.read(TABLES / f"{service}.txt"):
        try:
            _try(openstack, line, names)
        except Mismatch as error:
            wrong.append(f"{line.where}: {line.text}: {error}")
        settle(api)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_the_tables_have_every_command(openstack: Client) -> None:
    lines = [line for service in GROUPS for line in table.read(TABLES / f"{service}.txt")]
    tried = {openstack.command(line.text.split())[0] for line in lines}
    assert tried == set().union(*map(commands, GROUPS))


def test_the_document_matches_the_tables() -> None:
    assert document.DOCUMENT.read_text() == document.render(), f"write it again: {document.__doc__}"


def _try(openstack: Client, line: table.Line, names: Names) -> None:
    """Run the command of *line*; raise Mismatch if the result is not as expected."""
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
    table.check(output, line, names)


def _check_refusal(line: table.Line, result: Result) -> None:
    if (result.code == 0) != line.silent:
        raise Mismatch("it is not refused")
    if not line.silent and not any(text in result.complaint for text in line.refusals):
        raise Mismatch(result.complaint.strip())
