"""The life of one resource, in the requests of its user."""

import hashlib
from importlib import import_module, util
from typing import Any, ClassVar

import requests
from openstack.connection import Connection
from sqlalchemy.orm import Session

from contract.compute_helpers import add_image
from contract.conftest import Api
from resources.machine import Machine
from skywright.jobs.kinds import ResourceKind
from skywright.jobs.runs import records, replay
from skywright.jobs.runs.rundir import RunDirectory


class Story:
    """An administrator's requests and what they come to on the host. Each is planned first, and does as planned."""

    def __init__(self, api: Api, connection: Connection, machine: Machine) -> None:
        self.api, self.cloud, self.machine = api, api.cloud, machine
        self._session = connection.session
        self.runs: list[str] = []

    def ask(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """The answer of any API, which must be a good one."""
        answer: requests.Response = self._session.request(self.api.url + path, method, json=body, raise_exc=False)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def change(self, service: str, path: str, body: Any = None, method: str = "POST") -> Any:
        """Plan a request, then make it and do its jobs: the host changes as planned."""
        prefix = self.cloud.gateway.prefixes[service]
        plan = self.ask("/v1/plan", {"service": service, "method": method, "path": path, "body": body})
        assert plan["complete"] is True
        answer = self.ask(f"{prefix}{path}", body, method)
        planned = [item for host in plan["hosts"] for item in host["items"]]
        assert _briefly(planned, "module") == _briefly(self.work(), "kind")
        return answer

    def work(self) -> list[dict[str, Any]]:
        """Do all queued jobs; rendered again, each would send the same."""
        return self.machine.work(self.cloud, self._render_again)

    def _render_again(self, claimed: Any) -> None:
        with RunDirectory(self.cloud.settings.run_dir, claimed.run_id) as directory:
            records.begin(self.cloud, directory, claimed)
        found = replay.prepare(self.cloud, claimed.run_id)
        assert (found.differences, found.missing) == ([], [])
        self.runs.append(claimed.run_id)

    def drift(self) -> Any:
        return self.ask("/v1/drift", {})

    def repair(self) -> list[str]:
        """Converge everything: the kinds of the jobs that did so."""
        jobs = self.ask("/v1/converge", {})["jobs"]
        self.work()
        return sorted(job["playbook"] for job in jobs)

    # What resources are made of.

    def network(self) -> str:
        identifier: str = self.change("network", "/v2.0/networks", {"network": {"name": "net"}})["network"]["id"]
        subnet = {"network_id": identifier, "ip_version": 4, "cidr": "10.9.0.0/16"}
        self.change("network", "/v2.0/subnets", {"subnet": subnet})
        return identifier

    def image(self) -> str:
        data = self.machine.parts["image_cache"].source.read_bytes()  # type: ignore[attr-defined]
        digest = hashlib.sha256(data).hexdigest()
        return add_image(self.cloud, os_hash_algo="sha256", os_hash_value=digest)

    def flavor(self) -> str:
        flavor = {"name": "small", "vcpus": 1, "ram": 128, "disk": 1}
        return str(self.ask("/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"])

    def server(self, image: str, flavor: str, network: str) -> str:
        server = {"name": "web", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}]}
        return str(self.change("compute", "/v2.1/servers", {"server": server})["server"]["id"])

    def delete(self, service: str, path: str) -> None:
        self.change(service, path, method="DELETE")


class Life:
    """One resource; a subclass named `Life` in `lives/<kind>.py` describes its kind."""

    kind: ClassVar[type[ResourceKind]]
    # What drift says of it after it was harmed.
    harm_in_words: ClassVar[list[str]]

    def __init__(self, story: Story) -> None:
        self.story = story
        self.prepare()

    def prepare(self) -> None:
        """Make what it is made of, if it is made of anything."""

    def make(self) -> str:
        """Make it, on the host: its id."""
        raise NotImplementedError

    def harm(self, identifier: str) -> None:
        """Change on the host what nobody should."""
        raise NotImplementedError

    def end(self, identifier: str) -> None:
        """Delete it as its user does."""
        raise NotImplementedError

    def forget(self, session: Session, identifier: str) -> None:
        """Remove its records, as an old backup of the database would."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Delete what it was made of."""


def _briefly(items: list[dict[str, Any]], module: str) -> list[tuple[str, str]]:
    return sorted((item[module], item["action"] or "") for item in items)


def life_of(kind: ResourceKind) -> type[Life] | None:
    """The kind's description, if it has one."""
    name = f"{__package__}.lives.{kind.name}"
    return import_module(name).Life if util.find_spec(name) else None
