# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop of all converging modules: read once, plan every item, write, report every item.

It implements check mode, diffs, errors of items and the exit of the module.
"""

from __future__ import annotations

from contextlib import nullcontext

from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock


class ItemError(Exception):
    """The error of one item, as a message for the user; other items are not affected.

    C(status) is the status of the item, by which programs distinguish errors.
    """

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status = status


class Step:
    """One planned write: the item, its current state and its wanted state."""

    def __init__(self, item, action, have, want):
        self.id = item["id"]
        self.item = item
        self.action = action
        self.have = have
        self.want = want

    def changes(self, key):
        """Return whether this step changes C(key)."""
        return (self.have or {}).get(key) != (self.want or {}).get(key)


def plan(want, have):
    """Return the action that turns C(have) into C(want); both are dictionaries, None is absent."""
    if want is None:
        return None if have is None else "delete"
    if have is None:
        return "create"
    return "update" if any(have.get(key) != value for key, value in want.items()) else None


def each(actions, threads=1):
    """Return an C(apply) made of one function per action. A failed step does not stop the others."""

    def attempt(step, done):
        error = None
        try:
            actions[step.action](step)
        except (ItemError, OSError) as problem:
            error = str(problem)
        done(step.id, error)
        return step.id, error

    def apply(steps, done=lambda item_id, error: None):
        if threads == 1 or len(steps) == 1:
            outcomes = [attempt(step, done) for step in steps]
        else:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (slow, and few need it)

            with ThreadPoolExecutor(max_workers=threads) as pool:
                outcomes = list(pool.map(attempt, steps, [done] * len(steps)))
        return {item_id: error for item_id, error in outcomes if error}

    return apply


def together(write):
    """Return an C(apply) that writes all steps at once; if that fails, one by one to find the failing one."""

    def apply(steps, done=lambda item_id, error: None):
        try:
            write(steps)
        except (ItemError, OSError) as error:
            if len(steps) == 1:
                return {steps[0].id: str(error)}
            failed = {}
            for step in steps:
                failed.update(apply([step], done))
            return failed
        return {}

    return apply


class Functions:
    """Adapts functions to the interface of a kind, for modules whose items are not of a kind."""

    name = None
    label = ""

    def __init__(self, read, want, apply, status, exclusive):
        self.read = read
        self.want = want
        self._apply = apply
        self._status = status
        self.exclusive = exclusive

    def apply(self, steps, done):
        """Apply the steps."""
        return self._apply(steps)

    def status(self, want):
        """Return the status of a converged item."""
        return self._status(want) if self._status else None


def converge(module, *, items, read, want, apply, status=None, commands=(), exclusive=None):
    """Converge C(items) and exit.

    read(items)       -> {id: have} for all items; a missing id is absent
    want(item, have)  -> the wanted dictionary, or None for absent; may raise ItemError; writes nothing
    apply(steps)      -> {id: error} of the failed steps; not called in check mode or without a step
    status(want)      -> the status of a converged item in its result
    commands          -> the list that C(apply) appends its writes to
    exclusive         -> the name of the lock to hold from the read to the last write
    """
    end_with_caller()
    kind = Functions(read, want, apply, status, exclusive)
    answer(module, Convergence(kind, module.check_mode).run(items), commands)


class Convergence:
    """One convergence of items of a kind.

    C(unmet) is {id: (label, id of the failed item, reason)}: items that need such an id fail and are not changed.
    C(report) is called with each result as soon as it is final.
    """

    def __init__(self, kind, check_mode=False, unmet=(), report=None):
        self.kind = kind
        self.check_mode = check_mode
        self.unmet = unmet
        self.report = report or (lambda result: None)
        self.results = {}
        self.waiting = {}

    def run(self, items):
        """Converge the items and return their results, in the same order."""
        exclusive = self.kind.exclusive
        guard = nullcontext() if exclusive is None or self.check_mode else lock(exclusive)
        try:
            with guard:
                self._converge(items)
        except (ItemError, OSError) as error:
            self.results = {item["id"]: self._result(item, error=str(error)) for item in items}
        return list(self.results.values())

    def _converge(self, items):
        have = self.kind.read(items)
        steps = [step for step in (self._plan(item, have.get(item["id"])) for item in items) if step]
        self.waiting = {} if self.check_mode else {step.id: step for step in steps}
        for item_id, result in self.results.items():
            if item_id not in self.waiting:
                self.report(result)
        if not self.waiting:
            return
        for item_id, error in self.kind.apply(steps, self._done).items():
            self._fail(item_id, error)
        for item_id in list(self.waiting):
            self._done(item_id, None)

    def _done(self, item_id, error):
        if error:
            self._fail(item_id, error)
        if self.waiting.pop(item_id, None):
            self.report(self.results[item_id])

    def _fail(self, item_id, error):
        self.results[item_id]["error"] = error
        self.results[item_id].pop("status", None)

    def _plan(self, item, have):
        """Record the item's result and return the step that it needs."""
        try:
            self._require(item)
            want = self.kind.want(item, have)
        except ItemError as error:
            self._result(item, error=str(error), status=error.status)
            return None
        action = plan(want, have)
        result = self._result(item, action=action, status="absent" if want is None else self.kind.status(want))
        if not action:
            return None
        result["diff"] = {"before": have or {}, "after": want or {}}
        return Step(item, action, have, want)

    def _require(self, item):
        for need in self.kind.needs(item) if self.unmet else ():
            if need in self.unmet:
                label, failed, reason = self.unmet[need]
                raise ItemError(reason if failed == item["id"] or not label else f"{label} {failed}: {reason}")

    def _result(self, item, action=None, error=None, status=None):
        result = {"id": item["id"], "changed": action is not None, "action": action}
        if self.kind.name:
            result["kind"] = self.kind.name
        if error:
            result["error"] = error
        if status:
            result["status"] = status
        self.results[item["id"]] = result
        return result


def answer(module, results, commands):
    """Exit with the results; fail if one of them has an error."""
    results = [dict(result) for result in results]
    # The module's arguments are users' data, which must not be kept with the results.
    body = {"changed": any(r["changed"] for r in results), "results": results, "commands": list(commands)}
    body["invocation"] = {}
    diffs = []
    for result in results:
        diff = result.pop("diff", None)
        if diff and module._diff:
            result["diff"] = diff
            diffs.append(dict(diff, before_header=result["id"], after_header=result["id"]))
    if diffs:
        body["diff"] = diffs
    errors = [f"{r['id']}: {r['error']}" for r in results if "error" in r]
    if errors:
        module.fail_json(msg=f"{len(errors)} of {len(results)} failed: " + "; ".join(errors), **body)
    module.exit_json(**body)
