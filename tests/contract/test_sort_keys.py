"""Every sort key of servers, flavors and networks, in both directions: pages have the order of the list."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.list_rows import make_rows
from skywright.services.compute import flavors, server_queries
from skywright.services.network.networks import NETWORKS
from skywright.services.network.ports import PORTS
from skywright.services.network.subnetpools import POOLS
from skywright.services.network.subnets import SUBNETS

SERVERS, FLAVORS = "/compute/v2.1/servers?all_tenants=1", "/compute/v2.1/flavors?is_public=None"


def keys() -> Iterator[tuple[str, str]]:
    """Return (list, sort key)."""
    yield from ((SERVERS, key) for key in server_queries.SORT_KEYS)
    yield from ((FLAVORS, key) for key in flavors.SORT_KEYS)
    for resource in (NETWORKS, SUBNETS, PORTS, POOLS):
        path = f"/networking/v2.0/{resource.collection}?"
        yield from ((path, key) for key in (*resource.filters.columns, *resource.filters.constants))


@pytest.fixture(scope="module", autouse=True)
def rows(api: Api) -> None:
    """Rows of all lists. Many have equal values, and some have none."""
    make_rows(api)


def pages(api: Api, admin: Connection, path: str) -> Iterator[list[str]]:
    """Yield the ids of each page, following the links."""
    link: str | None = path
    while link:
        answer = admin.session.get(
            urljoin(api.url, link), headers={"OpenStack-API-Version": "compute 2.96"}, raise_exc=False
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        links = next((found for name, found in body.items() if name.endswith("_links")), [])
        yield [row["id"] for name, found in body.items() if not name.endswith("_links") for row in found]
        link = next((each["href"] for each in links if each["rel"] == "next"), None)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize(("path", "key"), list(keys()))
def test_pages_have_the_order_of_the_list(api: Api, admin: Connection, path: str, key: str, direction: str) -> None:
    query = f"{path}&sort_key={key}&sort_dir={direction}"
    [whole] = pages(api, admin, query)
    assert len(whole) > 1
    paged = list(pages(api, admin, f"{query}&limit=1"))
    assert [row for page in paged for row in page] == whole
