"""A host where the real kinds converge in this process: it stands in for Ansible, for workers and for the planner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.skywright.cloud.plugins.module_utils import host_contents
from ansible_collections.skywright.cloud.plugins.module_utils.host_run import HostRun
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS, image_cache
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import HOST_ITEMS, LIBVIRT_URI
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs
from kinds.fake_host import FakeHost, description_of

import recorded_hosts
from skywright.cloud import Cloud
from skywright.core import Item
from skywright.db import new_uuid
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import settle
from skywright.jobs.runs.draft import Draft

NAME = "host1"
ITEMS = ArgumentSpecValidator(argument_specs({"items": HOST_ITEMS["items"]}))
# libvirt's test driver is taken for a real hypervisor: a null host would have nothing but domains.
SETTINGS = {LIBVIRT_URI: "qemu:///system", "hypervisor_virt_type": "test"}


class Machine:
    """One host with what every kind needs there."""

    def __init__(self, root: Path, programs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.parts: dict[str, FakeHost] = {}
        for kind in KINDS:
            description = description_of(kind)
            assert description is not None, kind.name
            self.parts[kind.name] = description(root, programs, monkeypatch)
        # A veth pair has an end on the switch and one in a router's namespace.
        switch, routers = self.parts["ovs_network"], self.parts["router"]
        switch.lose_inner, routers.lose_outer = routers.lose_inner, switch.lose_outer  # type: ignore[attr-defined]
        for path in (root / "images").iterdir():
            path.unlink()  # the cache is empty at first
        source = (root.parent / "source").as_uri()
        monkeypatch.setattr(image_cache, "_checked_url", lambda _url: source)
        monkeypatch.setattr(libvirt, "VIR_DOMAIN_UNDEFINE_NVRAM", 0)  # the test driver knows no NVRAM
        self.unmet: dict[str, str] = {}

    def state(self) -> dict[str, Any]:
        """All that is there."""
        return {name: part.state() for name, part in self.parts.items()}

    def marks(self) -> dict[str, list[dict[str, Any]]]:
        """What carries the cloud's marks, by kind."""
        found, errors = host_contents.contents(SETTINGS)
        assert errors == []
        return found

    def converge(self, items: dict[str, dict[str, list[Item]]], *, check: bool) -> list[dict[str, Any]]:
        """The results of the module `host_items`; items with other options than the module's are refused."""
        assert items.keys() <= {NAME}
        found = ITEMS.validate({"items": items.get(NAME, {})})
        assert not found.error_messages and not found.unsupported_parameters, found.error_messages
        results, _commands = HostRun(found.validated_parameters["items"], SETTINGS, check).converge()
        return list(results)

    def run(self, draft: Draft, _timeout_seconds: float = 0) -> Results:
        """As the planner."""
        if draft.playbook == "host":
            marks = self.marks()
            return _answered({"host": recorded_hosts.answer(domains=marks["libvirt_domain"], contents=marks)})
        return _answered({"results": self.converge(draft.items, check=True)})

    def close(self) -> None:
        """As the planner."""

    def work(self, cloud: Cloud, look: Callable[[Claim], Any] = lambda _claim: None) -> list[dict[str, Any]]:
        """Do what a worker does until no job is queued: the results of all. *look* sees each run before it begins.

        Check mode predicts every one of them.
        """
        everything: list[dict[str, Any]] = []
        while True:
            with cloud.database.write() as session:
                taken = claim(session, cloud, "tests", new_uuid())
            if taken is None:
                return everything
            look(taken)
            foretold = self.converge(taken.work.items, check=True)
            found = self.converge(taken.work.items, check=False)
            assert not [result["error"] for result in found if "error" in result]
            assert foretold == found
            everything += found
            results = _answered({"results": found})
            with cloud.database.write() as session:
                for job in still_claimed(session, taken.attempts):
                    settle(session, cloud, job, results.outcome(taken.work.depends[job.id]))
                    assert job.state == "successful", job.error


def _answered(answer: dict[str, Any]) -> Results:
    results = Results()
    data = {"host": NAME, "task_action": "skywright.cloud.host_items", "res": answer}
    results.add({"event": "runner_on_ok", "event_data": data})
    results.add({"event": "playbook_on_stats"})
    results.rc = 0
    return results
