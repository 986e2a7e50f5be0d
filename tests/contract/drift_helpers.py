"""Fake hosts whose answers to runs in check mode are set by tests."""

from collections.abc import Callable, Mapping
from typing import Any

from recorded_hosts import answer
from skywright.jobs.engine.results import Results
from skywright.jobs.runs.draft import Draft

MODULES = {
    "networks": ("ovs_network", "dhcp_network"),
    "images": ("server_disk",),
    "servers": ("server_disk", "libvirt_domain"),
}

NOTHING: dict[str, list[Any]] = {"ovs_network": [], "dhcp_network": [], "image_cache": [], "server_disk": []}


class FakeHosts:
    """Replaces the planner. Items differ only if `say` set that; `marks` is everything that the hosts contain."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.domains: dict[str, list[dict[str, Any]]] = {}
        self.marks: dict[str, Mapping[str, list[Any]]] = {}
        self.boots: dict[str, str] = {}
        self.silent: set[str] = set()
        self.drafts: list[Draft] = []
        self.meanwhile: Callable[[], Any] | None = None

    def say(self, host: str, module: str, identifier: str, *, action: str = "update", **more: Any) -> None:
        """Set the answer of *module* for an item: with `before` and `after`, or `error`."""
        diff = {"before": more.pop("before", {}), "after": more.pop("after", {})}
        entry = {"id": identifier, "changed": "error" not in more, "action": action, "diff": diff, **more}
        self.said[host, module, identifier] = entry

    def mark(self, host: str, **kinds: list[Any]) -> None:
        self.marks[host] = NOTHING | kinds

    def run(self, draft: Draft, _timeout_seconds: float) -> Results:
        self.drafts.append(draft)
        results = Results()
        results.rc = 0
        for name, _, _ in draft.hosts:
            if name in self.silent:
                results.add(
                    {"event": "runner_on_unreachable", "event_data": {"host": name, "res": {"msg": "no route"}}}
                )
                results.rc = 4
            else:
                for module, answer in self._answers(draft, name):
                    data = {"host": name, "task_action": f"skywright.cloud.{module}", "res": answer}
                    results.add({"event": "runner_on_ok", "event_data": data})
        results.add({"event": "playbook_on_stats"})
        if draft.playbook == "items" and self.meanwhile is not None:
            self.meanwhile()
        return results

    def _answers(self, draft: Draft, host: str) -> list[tuple[str, dict[str, Any]]]:
        if draft.playbook == "host":
            marks = self.marks.get(host, NOTHING)
            said = answer(boot=self.boots.get(host), domains=self.domains.get(host, []), contents=marks)
            return [("host_info", {"host": said})]
        return [
            (module, {"results": [self.said.get((host, module, item["id"]), _same(item["id"]))]})
            for kind, items in draft.items.get(host, {}).items()
            for item in items
            for module in MODULES[kind]
        ]

    def close(self) -> None:
        """Do nothing: there is no warm process."""


def _same(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "changed": False, "action": None}
