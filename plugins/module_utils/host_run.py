# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converges all kinds of a host in one process. Independent kinds run in threads.

Present items converge in the order of their kinds, absent items in reverse order: a server's network is created before
the server and removed after it. Items that need a failed item fail with its reason. An item that C(starts_first) does
not wait for other items of its list.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter

from ansible_collections.skywright.cloud.plugins.module_utils.converge import Convergence
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import is_null
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import LIBVIRT_URI, make

STATES = ("present", "absent")


def _names_before(kind):
    """Return the names of the kinds that *kind* comes after, directly or through a kind that may have no items."""
    direct = [other for other in KINDS if other.name in kind.after]
    return {other.name for other in direct}.union(*map(_names_before, direct))


class Part(threading.Thread):
    """The items of one kind and state that start first or not, which converge after the parts before it have ended."""

    def __init__(self, run, kind, state, first, items):
        super().__init__(name=kind.name, daemon=True)
        self.run_of_host = run
        self.kind = make(kind, run.settings)
        self.state = state
        self.first = first
        self.items = items
        self.results = []
        self.before = []
        self.ended = threading.Event()

    def run(self):
        """Wait for the parts before, converge, and record failed items for the parts after."""
        run = self.run_of_host
        try:
            self.kind.prepare()
            for part in self.before:
                part.ended.wait()
            self.kind.gone = run.removed() if run.check_mode else set()
            self.results = Convergence(self.kind, run.check_mode, run.unmet(), run.report).run(self.items)
        except Exception as error:
            # A bug in one kind must not lose the results of the others.
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            reason = f"{type(error).__name__}: {error}"
            self.results = [
                {"id": item["id"], "kind": self.kind.name, "changed": False, "error": reason, "exception": text}
                for item in self.items
            ]
        run.record(self)
        self.ended.set()


class HostRun:
    """A run over a host's items {list: [item]}; C(settings) are the host's variables that are settings of kinds."""

    def __init__(self, items, settings, check_mode=False, unmet=(), report=None):
        self.settings = settings
        self.check_mode = check_mode
        self._report = report
        self._unmet = dict(unmet)
        self._removed = set()
        self._changed = threading.Lock()
        self.parts = [
            Part(self, kind, state, first, selected)
            for kind in KINDS
            if kind.on_null_hosts or not is_null(settings.get(LIBVIRT_URI) or "")
            for state in STATES
            for first in (True, False)
            if (selected := self._select(kind, items.get(kind.items) or [], state, first))
        ]
        # The number of kinds that an item still waits for.
        self._left = Counter(item["id"] for part in self.parts for item in part.items)
        for part in self.parts:
            part.before = [other for other in self.parts if self._is_before(other, part)]

    def _select(self, kind, items, state, first):
        concerns = make(kind, self.settings).concerns
        mine = [item for item in items if item["state"] == state and item.get("starts_first", False) == first]
        return [item for item in mine if concerns(item)]

    @staticmethod
    def _is_before(one, other):
        if (one.state, other.state) == ("present", "absent"):
            return one.kind.name in other.kind.removed_after
        if one.state != other.state or (one.kind.items == other.kind.items and one.first != other.first):
            return False
        first, then = (one, other) if one.state == "present" else (other, one)
        return first.kind.name in _names_before(then.kind)

    def converge(self):
        """Converge all items and return (results, commands)."""
        for part in self.parts:
            part.start()
        for part in self.parts:
            part.join()
        results = [result for part in self.parts for result in part.results]
        return results, [command for part in self.parts for command in part.kind.commands]

    def report(self, result):
        """Report a result; it is C(final) if no other kind still has to converge the item."""
        if self._report is None:
            return
        with self._changed:
            self._left[result["id"]] -= 1
            final = self._left[result["id"]] == 0
        self._report(dict(result, final=final))

    def unmet(self):
        """Return the ids that failed so far."""
        with self._changed:
            return dict(self._unmet)

    def removed(self):
        """Return the ids that are gone so far."""
        with self._changed:
            return set(self._removed)

    def record(self, part):
        """Record the failed and the removed items of an ended part."""
        failed = {result["id"]: result["error"] for result in part.results if "error" in result}
        with self._changed:
            for item in part.items:
                if item["id"] in failed:
                    reason = part.kind.label, item["id"], failed[item["id"]]
                    self._unmet.update(dict.fromkeys(part.kind.provides(item), reason))
                else:
                    self._removed.update(part.kind.removes(item))
