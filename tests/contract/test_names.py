"""Names keep white space at their beginning and end."""

from typing import Any, NamedTuple

import pytest
from openstack.connection import Connection

from contract.compute_helpers import make_fixtures
from contract.conftest import Api

NAMES = (" begins", "ends ", "\tboth\n")


class Named(NamedTuple):
    """A kind of resource: where it is made and listed, what wraps it in bodies, its attributes beside the name."""

    path: str
    key: str = ""  # nothing in the image service
    more: dict[str, Any] = {}


KINDS = (
    Named("identity/v3/users", "user"),
    Named("identity/v3/groups", "group"),
    Named("identity/v3/projects", "project"),
    Named("identity/v3/domains", "domain"),
    Named("identity/v3/roles", "role"),
    Named("identity/v3/services", "service", {"type": "names"}),
    Named("identity/v3/users/{me}/application_credentials", "application_credential"),
    Named("networking/v2.0/networks", "network"),
    Named("networking/v2.0/ports", "port", {"network_id": "{network}"}),
    Named("networking/v2.0/subnetpools", "subnetpool", {"prefixes": ["10.7.0.0/16"]}),
    Named("networking/v2.0/address-scopes", "address_scope", {"ip_version": 4}),
    Named("image/v2/images"),
)


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    with api.connect() as admin:
        things = make_fixtures(api, admin, admin)
        return {"network": things.network, "me": admin.current_user_id}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.path for kind in KINDS])
def test_names_are_kept(api: Api, admin: Connection, ids: dict[str, str], kind: Named, name: str) -> None:
    url = f"{api.url}/{kind.path.format(**ids)}"
    filled = {key: value.format(**ids) if isinstance(value, str) else value for key, value in kind.more.items()}
    body = {"name": name} | filled
    made = admin.session.post(url, json={kind.key: body} if kind.key else body).json()
    made = made[kind.key] if kind.key else made
    assert made["name"] == name

    def found(wanted: str) -> list[str]:
        listed = admin.session.get(url, params={"name": wanted}).json()
        return [row["id"] for row in listed[kind.path.rpartition("/")[2].replace("-", "_")]]

    assert found(name) == [made["id"]]
    assert found(name.strip()) == []
