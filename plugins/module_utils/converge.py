# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop that all modules share: read once, plan every item, act, report every item.

A module supplies C(read), C(want) and C(apply); check mode, diff, per-item errors and the exit live here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock


class ItemError(Exception):
    """What is wrong with one item, in words for the user; the other items go on.

    C(status) is what the item is found to be, for programs that have to tell one error from another.
    """

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status = status


class Step:
    """One write that the plan asks for: the item, what is there now and what is wanted."""

    def __init__(self, item, action, have, want):
        self.id = item["id"]
        self.item = item
        self.action = action
        self.have = have
        self.want = want

    def changes(self, key):
        """Whether this step has to change C(key)."""
        return (self.have or {}).get(key) != (self.want or {}).get(key)


def plan(want, have):
    """Name the write that turns C(have) into C(want); both are dictionaries, None is absent."""
    if want is None:
        return None if have is None else "delete"
    if have is None:
        return "create"
    return "update" if any(have.get(key) != value for key, value in want.items()) else None


def each(actions, threads=1):
    """Make an C(apply) out of one function an action; every step is tried, also after another failed."""

    def attempt(step):
        try:
            actions[step.action](step)
        except (ItemError, OSError) as error:
            return step.id, str(error)
        return step.id, None

    def apply(steps):
        if threads == 1 or len(steps) == 1:
            outcomes = list(map(attempt, steps))
        else:
            with ThreadPoolExecutor(max_workers=threads) as pool:
                outcomes = list(pool.map(attempt, steps))
        return {item_id: error for item_id, error in outcomes if error}

    return apply


def require(item, unmet):
    """Refuse an item of which an earlier part failed, or a present one that needs what could not be made."""
    needs = [item["id"]]
    if item["state"] == "present":
        needs += [item.get("image_id"), *(port["id"] for port in item.get("ports") or [])]
    for need in needs:
        if need in unmet:
            raise ItemError(unmet[need])


def converge(module, *, items, read, want, apply, status=None, commands=(), exclusive=None):
    """Converge C(items) and exit.

    read(items)       -> {id: have}; once for all; an id that is left out is absent
    want(item, have)  -> the wanted dictionary, or None for absent; may raise ItemError; writes nothing
    apply(steps)      -> {id: error} of the steps that failed; not called in check mode or without a step
    status(want)      -> what the result tells about an item that was converged
    commands          -> the list that C(apply) appends its writes to
    exclusive         -> the name of the lock to hold from the read to the last write
    """
    end_with_caller()
    guard = nullcontext() if exclusive is None or module.check_mode else lock(exclusive)
    try:
        with guard:
            results = _plan_and_apply(module, items, read, want, apply)
    except (ItemError, OSError) as error:
        results = {item["id"]: _result(item, error=str(error)) for item in items}
    _exit(module, results, status, list(commands))


def _plan_and_apply(module, items, read, want, apply):
    results, steps = _plan_all(items, read(items), want)
    if steps and not module.check_mode:
        for item_id, error in apply(steps).items():
            results[item_id].update(error=error)
    return results


def _plan_all(items, have, want):
    results, steps = {}, []
    for item in items:
        there = have.get(item["id"])
        try:
            wanted = want(item, there)
        except ItemError as error:
            results[item["id"]] = _result(item, error=str(error))
            if error.status:
                results[item["id"]]["status"] = error.status
            continue
        action = plan(wanted, there)
        results[item["id"]] = _result(item, action=action, want=wanted)
        if action:
            results[item["id"]]["diff"] = {"before": there or {}, "after": wanted or {}}
            steps.append(Step(item, action, there, wanted))
    return results, steps


def _result(item, action=None, error=None, want=None):
    result = {"id": item["id"], "changed": action is not None, "action": action, "want": want}
    if error:
        result["error"] = error
    return result


def _exit(module, results, status, commands):
    answer = {"changed": any(r["changed"] for r in results.values()), "results": list(results.values())}
    # The module's arguments are the user's data; nothing shall keep them with the results.
    answer.update(commands=commands, invocation={})
    diffs = []
    for result in answer["results"]:
        want, diff = result.pop("want"), result.pop("diff", None)
        if status and "error" not in result:
            result["status"] = "absent" if want is None else status(want)
        if diff and module._diff:
            result["diff"] = diff
            diffs.append(dict(diff, before_header=result["id"], after_header=result["id"]))
    if diffs:
        answer["diff"] = diffs
    errors = [f"{r['id']}: {r['error']}" for r in answer["results"] if "error" in r]
    if errors:
        module.fail_json(msg=f"{len(errors)} of {len(results)} failed: " + "; ".join(errors), **answer)
    module.exit_json(**answer)
