"""The results of a run, by host and item: events, the exit code and missing results are reconciled."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from skywright.core import Outcome

SHOWN_TEXT = 2000
SHOWN_STDERR = 900
COMMAND_FAILED = "non-zero return code"  # of ansible.builtin.command, shell and script
UNREACHABLE = 4  # Ansible's exit code
# The events that report the end of a task on a host, and the counters of the same in the run's final statistics.
ENDS = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable")
COUNTS = ("ok", "failures", "dark")


class Results:
    """Collects the events of a run, and returns the outcome of each item."""

    def __init__(self) -> None:
        self.rc: int | None = None
        self.canceled = False
        self.timed_out = False
        self.disk_full = False  # the disk that it wrote to was full at the end
        self.unended: dict[str, str] = {}  # {host: reason} of hosts where processes of the run may still exist
        self._items: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._unreachable: dict[str, str] = {}
        self._fatal: dict[str, str] = {}  # {host: reason} why the run on this host ended early
        self._stats: dict[str, Any] | None = None
        self._reported: Counter[str] = Counter()  # number of tasks whose end was reported, by host
        self._text: deque[str] = deque(maxlen=20)

    @classmethod
    def without_hosts(cls) -> "Results":
        """Return the results of a run that could begin on no host."""
        results = cls()
        results.rc, results._stats = UNREACHABLE, {}
        return results

    def add(self, event: dict[str, Any]) -> None:
        """Add an event of ansible-runner."""
        kind, data = event.get("event", ""), event.get("event_data") or {}
        host, result = data.get("host", ""), data.get("res") or {}
        self._reported[host] += kind in ENDS
        if kind in ("runner_on_ok", "runner_on_failed"):
            items = list(item_results(data, host, result))
            for item in items:
                self._items[host, item["id"]].append(item)
            if kind == "runner_on_failed" and not items and not data.get("ignore_errors"):
                self._fatal[host] = f"{data.get('task')}: {failure_message(result)}"
        elif kind == "runner_on_unreachable":
            self._unreachable[host] = failure_message(result)
        elif kind == "playbook_on_stats":
            self._stats = data
        elif kind in ("verbose", "error", "warning") and event.get("stdout"):
            self._text.append(event["stdout"])

    @property
    def lost(self) -> bool:
        """Whether the run was killed from outside, so that another run may succeed."""
        if self.canceled or self.timed_out:
            return False
        return self.rc is None or self.rc < 0 or (self.disk_full and self.rc != 0 and self._stats is None)

    @property
    def ended_early(self) -> bool:
        """Whether its processes were ended early, or lost."""
        return self.canceled or self.timed_out or self.lost

    def add_unreachable(self, hosts: Mapping[str, str]) -> None:
        """Add hosts on which the run did not begin, with the reasons."""
        self._unreachable |= hosts

    @property
    def broken(self) -> str | None:
        """Why the run failed as a whole, or None if it did not."""
        if self.timed_out:
            return "The run took too long and was ended"
        if self.canceled:
            return "The run was canceled"
        if self.lost:
            return "The worker's disk was full" if self.disk_full else "The run was killed"
        if self.rc != 0 and self._stats is None:
            return f"Ansible ended with {self.rc}: {' '.join(self._text)[-SHOWN_TEXT:] or 'no output'}"
        return None

    @property
    def state(self) -> str:
        """The state of the run."""
        if self.canceled:
            return "canceled"
        if self.broken:
            return "error"
        return "successful" if self.rc == 0 else "failed"

    @property
    def unreachable(self) -> dict[str, str]:
        """{host: reason} of the hosts that did not answer until the end."""
        return self._unreachable

    @property
    def answered(self) -> set[str]:
        """The hosts where one of our modules returned a result."""
        return {host for host, _ in self._items}

    def unended_text(self, hosts: Iterable[str]) -> str:
        """Return a text about the *hosts* where processes of the run may still exist."""
        found = sorted(set(hosts) & self.unended.keys())
        return "; ".join(f"what it ran on {host} could not be ended: {self.unended[host]}" for host in found)

    def blocking_unreachable(self, depends: Iterable[tuple[str, str]]) -> set[str]:
        """Return the unreachable hosts among *depends* if there is no other reason for a failure."""
        failed = {key for key in depends if self._error(key)}
        hosts = {host for host, _ in failed}
        spoken = any(result.get("error") for key in failed for result in self._items.get(key, ()))
        return hosts if hosts <= self._unreachable.keys() and not spoken and not self.broken else set()

    def has_lost_events(self, depends: Iterable[tuple[str, str]]) -> bool:
        """Return whether only lost events make the outcome of *depends* uncertain."""
        failed = [key for key in depends if self._error(key)]
        return bool(failed) and all(self._events_lost(*key) for key in failed)

    def _events_lost(self, host: str, item: str) -> bool:
        if self.broken or self._items.get((host, item)) or host in self._unreachable or host in self._fatal:
            return False
        if self._stats is None:
            return True
        return bool(self._reported[host] < sum(self._stats.get(name, {}).get(host, 0) for name in COUNTS))

    def outcome(self, depends: Iterable[tuple[str, str]]) -> Outcome:
        """Return the outcome of a job that depends on the items *depends* [(host, item id)]."""
        wanted = sorted(depends)
        results = [result for key in wanted for result in self._items.get(key, ())]
        errors = [error for key in wanted if (error := self._error(key))]
        error = "; ".join(dict.fromkeys(errors)) or None
        return Outcome(ok=not errors, error=error, results=results, unreachable=bool(self.blocking_unreachable(wanted)))

    def _error(self, key: tuple[str, str]) -> str | None:
        host, item = key
        results = self._items.get(key, ())
        for result in results:
            if result.get("error"):
                return f"{host}: {result['error']}"
        if host in self._unreachable:
            return f"{host} is unreachable: {self._unreachable[host]}"
        if self.broken:
            return "; ".join(filter(None, (self.broken, self.unended_text([host]))))
        if host in self._fatal:
            return f"{host}: {self._fatal[host]}"
        if not results:
            return f"{host} returned no result for {item}"
        return None


def item_results(data: dict[str, Any], host: str, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the items' results in the result of one task on one host, including loops."""
    module = (data.get("resolved_action") or data.get("task_action") or "").rsplit(".", 1)[-1]
    if module == "fail" and isinstance(result.get("msg"), dict):  # {id: error}, the last task of a playbook
        for item, error in result["msg"].items():
            yield {"host": host, "module": module, "id": item, "changed": False, "error": str(error)}
    if isinstance(result.get("host"), dict):  # host_info: the host itself is the item
        yield {"host": host, "module": module, "id": host, "changed": False, **result["host"]}
    yield from _listed(result.get("results"), host, module)


def _listed(results: Any, host: str, module: str) -> Iterator[dict[str, Any]]:
    for entry in results if isinstance(results, list) else ():
        if not isinstance(entry, dict):
            continue
        if "id" in entry:
            # One call of host_items converges items of several kinds, each of which has its own module.
            yield {**entry, "host": host, "module": entry.get("kind", module)}
        else:
            yield from _listed(entry.get("results"), host, module)


def failure_message(result: dict[str, Any]) -> str:
    """Return why a task failed: its message and, of a command, the end of its standard error, which has the reason."""
    error = str(result.get("stderr") or "").strip()
    text = str(result.get("msg") or result.get("module_stderr") or error or "no reason was given").strip()
    if text == COMMAND_FAILED and error:
        return f"{text}: {error[-SHOWN_STDERR:]}"
    return text[:SHOWN_TEXT]
