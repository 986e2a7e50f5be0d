# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All kinds of one host in one process: what is independent runs in threads, what failed is handed on.

Present items converge in the order of their kinds, absent ones in the reverse order: a server's network is made before
the server, and removed after it.
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
    """The items of one kind and one state, converged when the parts before it have ended."""

    def __init__(self, run, kind, state, items):
        super().__init__(name=kind.name, daemon=True)
        self.run_of_host = run
        self.kind = make(kind, run.settings)
        self.state = state
        self.items = items
        self.results = []
        self.before = []
        self.ended = threading.Event()

    def run(self):
        """Wait, converge, hand on what failed."""
        run = self.run_of_host
        try:
            self.kind.prepare()
            for part in self.before:
                part.ended.wait()
            self.kind.gone = run.removed() if run.check_mode else set()
            self.results = Convergence(self.kind, run.check_mode, run.unmet(), run.report).run(self.items)
        except Exception as error:
            # A mistake in one kind must not lose the results of the others.
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            reason = f"{type(error).__name__}: {error}"
            self.results = [
                {"id": item["id"], "kind": self.kind.name, "changed": False, "error": reason, "exception": text}
                for item in self.items
            ]
        run.hand_on(self)
        self.ended.set()


class HostRun:
    """One host's items {list: [item]}; C(settings) are its variables that kinds ask for."""

    def __init__(self, items, settings, check_mode=False, unmet=(), report=None):
        self.settings = settings
        self.check_mode = check_mode
        self._report = report
        self._unmet = dict(unmet)
        self._removed = set()
        self._changed = threading.Lock()
        self.parts = [
            Part(self, kind, state, chosen)
            for kind in KINDS
            if kind.on_null_hosts or not is_null(settings.get(LIBVIRT_URI) or "")
            for state in STATES
            if (chosen := self._chosen(kind, items.get(kind.items) or [], state))
        ]
        # How many kinds have an item still before them.
        self._left = Counter(item["id"] for part in self.parts for item in part.items)
        for part in self.parts:
            part.before = [other for other in self.parts if self._is_before(other, part)]

    def _chosen(self, kind, items, state):
        concerns = make(kind, self.settings).concerns
        return [item for item in items if item["state"] == state and concerns(item)]

    @staticmethod
    def _is_before(one, other):
        if one.state != other.state:
            return False
        first, then = (one, other) if one.state == "present" else (other, one)
        return first.kind.name in _names_before(then.kind)

    def converge(self):
        """Converge everything; (results, writes)."""
        for part in self.parts:
            part.start()
        for part in self.parts:
            part.join()
        results = [result for part in self.parts for result in part.results]
        return results, [command for part in self.parts for command in part.kind.commands]

    def report(self, result):
        """Tell of a result; C(final): no other kind has the item still before it."""
        if self._report is None:
            return
        with self._changed:
            self._left[result["id"]] -= 1
            final = self._left[result["id"]] == 0
        self._report(dict(result, final=final))

    def unmet(self):
        """Give what failed so far."""
        with self._changed:
            return dict(self._unmet)

    def removed(self):
        """Give the ids of absent items that were converged so far."""
        with self._changed:
            return set(self._removed)

    def hand_on(self, part):
        """Take in how a part ended."""
        failed = {result["id"]: result["error"] for result in part.results if "error" in result}
        with self._changed:
            for item in part.items:
                if item["id"] in failed:
                    reason = part.kind.label, item["id"], failed[item["id"]]
                    self._unmet.update(dict.fromkeys(part.kind.provides(item), reason))
                elif part.state == "absent":
                    self._removed.add(item["id"])
