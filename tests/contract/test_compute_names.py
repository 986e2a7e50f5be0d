"""Names are stored unchanged or refused: "Can not start or end with whitespace." (nova.api.validation)"""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures
from contract.conftest import Api

SPACED = (" x", "x ", "x\t", "\u00a0x", " ", "", "x\n")


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


@pytest.mark.parametrize("name", SPACED)
def test_white_space_at_the_ends_of_names_is_refused(nova: Nova, fixtures: Fixtures, name: str) -> None:
    flavor: dict[str, Any] = {"name": name, "ram": 64, "vcpus": 1, "disk": 1}
    for path, body in (
        ("/servers", fixtures.body(name)),
        ("/os-keypairs", {"keypair": {"name": name}}),
        ("/flavors", {"flavor": flavor}),
    ):
        assert nova("POST", path, body, version="2.60").status_code == 400, path


def test_renaming_a_server_refuses_white_space_at_the_ends(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    nova = Nova(demo, api.url)
    server = nova("POST", "/servers", fixtures.body("x y")).json()["server"]["id"]
    assert nova("PUT", f"/servers/{server}", {"server": {"name": " z"}}).status_code == 400
    assert nova("GET", f"/servers/{server}").json()["server"]["name"] == "x y"


def test_a_key_pair_is_found_by_the_name_that_was_sent(nova: Nova) -> None:
    assert nova("POST", "/os-keypairs", {"keypair": {"name": "my key"}}, version="2.60").status_code == 201
    assert nova("GET", "/os-keypairs/my%20key").json()["keypair"]["name"] == "my key"
