"""Every call of openstacksdk to the offered services, once: `clients/call_tables` has the expected result of each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from openstack.resource import Resource

from contract.clients import table
from contract.clients.calls import SERVICES, call, calls
from contract.clients.cloud import running_cloud, settle
from contract.clients.table import Mismatch
from contract.conftest import Api

TABLES = Path(__file__).parent / "clients" / "call_tables"
CALL = re.compile(r"(\w+)(?:\(.*?\)(?=\s|$))?")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_cloud(tmp_path / "state") as api:
        yield api


@pytest.mark.parametrize("service", SERVICES)
def test_every_call(api: Api, service: str) -> None:
    wrong = []
    with api.connect(compute_default_microversion="2.96") as connection:
        names = _names(connection)
        for line in table.read(TABLES / f"{service}.txt"):
            for text in _calls(line):
                try:
                    _try(connection, service, text, line, names)
                except Mismatch as error:
                    wrong.append(f"{line.where}: {text}: {error}")
                settle(api)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.mark.parametrize("service", SERVICES)
def test_the_tables_have_every_call(api: Api, service: str) -> None:
    tried = {CALL.match(text)[1] for line in table.read(TABLES / f"{service}.txt") for text in _calls(line)}
    with api.connect() as connection:
        assert tried == calls(connection, service)


def _calls(line: table.Line) -> list[str]:
    """Return the calls of a line; a line of a group has several."""
    return [found[0] for found in CALL.finditer(line.text)] if line.made_up else [line.text]


def _names(connection: Connection) -> dict[str, Any]:
    """Return the names that all calls may use."""
    demo = connection.identity.find_project("demo").id
    network = connection.network.create_network(name="net").id
    connection.network.create_subnet(network_id=network, ip_version=4, cidr="10.1.0.0/24")
    return {
        "admin": connection.current_project_id,
        "me": connection.current_user_id,
        "token": connection.auth_token,
        "demo": demo,
        "image": connection.image.find_image("guest").id,
        "network": network,
        "key": (TABLES.parent / "commands" / "data" / "key.pub").read_text(),
    }


def _try(connection: Connection, service: str, text: str, line: table.Line, names: dict[str, Any]) -> None:
    """Make the call *text*; raise Mismatch if the result is not as expected."""
    try:
        result = call(connection, service, text, names)
    except Exception as error:
        if line.refusals and any(refusal in str(error) for refusal in line.refusals):
            return
        raise Mismatch(f"{type(error).__name__}: {error}") from error
    if bool(line.refusals) != line.silent:
        raise Mismatch("it is not refused")
    if line.keeps:
        names[line.keeps[0]] = result
    table.check(_plain(result), line, {name: getattr(value, "id", value) for name, value in names.items()})


def _plain(result: Any) -> Any:
    """Return *result* as JSON data."""
    if isinstance(result, list):
        return [_plain(item) for item in result]
    return (
        result.to_dict() if isinstance(result, Resource) else vars(result) if hasattr(result, "status_code") else result
    )
