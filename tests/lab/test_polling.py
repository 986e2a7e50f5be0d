"""A client that polls like `openstack ... --wait` keeps its connection."""

import time

import pytest
import requests
from openstack.connection import Connection

POLLS, INTERVAL_SECONDS = 60, 5.0


@pytest.mark.long
def test_five_minutes_of_polling_need_one_connection(cloud: Connection) -> None:
    url = f"{cloud.compute.get_endpoint()}/servers"
    with requests.Session() as session:
        for _ in range(POLLS):
            assert session.get(url, headers={"X-Auth-Token": cloud.auth_token}, timeout=10).status_code == 200
            time.sleep(INTERVAL_SECONDS)
        (pool,) = session.get_adapter(url).poolmanager.pools._container.values()
        assert (pool.num_requests, pool.num_connections) == (POLLS, 1)
