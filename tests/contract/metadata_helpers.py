"""Servers with addresses, and requests of their networks' metadata proxies."""

from typing import Any

import requests
from sqlalchemy import select

from contract.compute_helpers import Fixtures, Nova, run_jobs
from contract.conftest import Api
from skywright.services.network.tables import Port


class Asking:
    """A new server of the project of *nova*, and requests that its metadata proxy forwards for it."""

    def __init__(self, api: Api, nova: Nova, fixtures: Fixtures, name: str = "one", **more: Any) -> None:
        self.url = f"{api.url}/compute/metadata"
        answer = nova("POST", "/servers", fixtures.body(name, **more))
        assert answer.status_code == 202, answer.text
        self.id = answer.json()["server"]["id"]
        found = [
            item["dhcp"]["metadata"]
            for work in run_jobs(api.cloud)
            for kinds in work.items.values()
            for item in kinds.get("networks", [])
            if item["dhcp"]
        ]
        assert len(found) == 1 and found[0]["api_url"] == self.url
        with api.cloud.database.read() as session:
            port = session.scalars(select(Port).where(Port.device_id == self.id)).one()
            self.port, self.network, self.address = port.id, port.network_id, port.addresses[0].ip_address
        self.headers = {
            "X-Metadata-Provider": self.network,
            "X-Metadata-Provider-Signature": found[0]["signature"],
            "X-Metadata-Address": self.address,
        }

    def __call__(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> requests.Response:
        changed = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, self.url + path, headers=changed, data=data, timeout=30)

    def lines(self, path: str) -> list[str]:
        """The lines of a file or a list that exists."""
        answer = self(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.text.split("\n")
