"""What holds for every kind that hosts converge: a new one needs no test of that, but a description in `hosts`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import host_run
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind, converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import HOST_ITEMS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs
from plugins.conftest import predicted
from plugins.test_modules import MODULES, argument_spec, documented, facets

from kinds.fake_host import FIRST, SECOND, FakeHost, description_of
from kinds.writes import Killed, killed_after

DESCRIPTIONS = [found for kind in KINDS if (found := description_of(kind))]
BAD = [(found, *case) for found in DESCRIPTIONS for case in found.bad]
NewHost = Callable[[type[FakeHost]], FakeHost]
Answer = dict[str, Any]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every_host = pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda found: found.kind.name)


@pytest.fixture
def converge(run_module: Callable[..., Answer]) -> Callable[..., Answer]:
    """Give a function that converges items on a host and gives the module's answer."""

    def run(host: FakeHost, *items: dict[str, Any], check: bool = False, **options: Any) -> Answer:
        def main() -> None:
            module = AnsibleModule(argument_spec=host.kind.argument_spec(), supports_check_mode=True)
            converge_alone(module, host.kind)

        return run_module(main, {host.kind.items: list(items), **options}, check=check)

    return run


def absent(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "state": "absent"}


def ids(host: FakeHost) -> set[str]:
    return {mark["id"] for mark in host.kind().marks()}


@every_kind
def test_it_is_described(kind: type[Kind]) -> None:
    found = description_of(kind)
    assert found is not None, f"tests/unit/kinds/hosts/{kind.name}.py is missing"
    assert found.kind is kind and found.bad


@every_kind
def test_its_options_are_the_same_in_all_modules(kind: type[Kind], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own module, if operators have one, host_items, and the documentation of both."""
    [wanted] = facets({"items": {**kind.item, "default": None}}, "options").values()
    modules = {"host_items": documented("host_items")["items"]["suboptions"]}
    if kind.name in MODULES:
        assert argument_spec(kind.name, monkeypatch) == kind.argument_spec()
        modules[kind.name] = documented(kind.name)
    for name, options in modules.items():
        [found] = facets({"items": options[kind.items]}, "suboptions").values()
        assert found | {"required": None, "default": None} == wanted | {"required": None, "default": None}, name
    assert argument_specs(HOST_ITEMS)["items"]["options"][kind.items]["options"] == argument_specs(kind.item["options"])


@every_host
def test_an_item_is_created_once(description: type[FakeHost], new_host: NewHost, converge: Any) -> None:
    host = new_host(description)
    empty = host.state()
    answer = converge(host, host.item(FIRST), host.item(SECOND))
    assert "failed" not in answer
    assert [(result["id"], result["action"], result["kind"]) for result in answer["results"]] == [
        (FIRST, "create", host.kind.name),
        (SECOND, "create", host.kind.name),
    ]
    made = host.state()
    assert made != empty
    again = converge(host, host.item(FIRST), host.item(SECOND))
    assert (again["changed"], again["commands"]) == (False, [])
    assert [result["status"] for result in again["results"]] == [result["status"] for result in answer["results"]]
    assert host.state() == made


@every_host
def test_check_mode_predicts_and_writes_nothing(description: type[FakeHost], new_host: NewHost, converge: Any) -> None:
    host = new_host(description)
    rounds = [[host.item(FIRST), host.item(SECOND)], [host.item(FIRST, **host.change)], [absent(FIRST)]]
    for items in rounds:
        before = host.state()
        foretold = converge(host, *items, check=True)
        assert host.state() == before and foretold["commands"] == []
        assert predicted(foretold) == predicted(converge(host, *items))


@every_host
def test_a_changed_item_is_updated(description: type[FakeHost], new_host: NewHost, converge: Any) -> None:
    """It is then as one that was made so; a kind whose items never change has nothing to do."""
    host = new_host(description)
    changed = host.item(FIRST, **host.change)
    converge(host, host.item(FIRST))
    answer = converge(host, changed)
    assert answer["by_id"][FIRST]["action"] == ("update" if host.change else None) and "failed" not in answer
    assert not converge(host, changed)["changed"]
    updated, other = host.state(), new_host(description)
    converge(other, other.item(FIRST, **other.change))
    assert other.state() == updated


@every_host
def test_an_absent_item_leaves_the_others(description: type[FakeHost], new_host: NewHost, converge: Any) -> None:
    host = new_host(description)
    host.add_others()
    converge(host, host.item(SECOND))
    before = host.state()
    converge(host, host.item(FIRST))
    assert converge(host, absent(FIRST))["by_id"][FIRST]["action"] == "delete"
    assert host.state() == before
    again = converge(host, absent(FIRST))
    assert (again["changed"], again["commands"], again["by_id"][FIRST]["status"]) == (False, [], "absent")


@pytest.mark.parametrize(
    ("description", "change", "word"), BAD, ids=[f"{found.kind.name}-{word}" for found, _, word in BAD]
)
def test_a_bad_item_does_not_stop_the_rest(
    description: type[FakeHost], change: dict[str, Any], word: str, new_host: NewHost, converge: Any
) -> None:
    host = new_host(description)
    answer = converge(host, host.item(FIRST, **change), host.item(SECOND))
    assert answer["failed"] and word in answer["by_id"][FIRST]["error"]
    assert "error" not in answer["by_id"][SECOND] and answer["by_id"][SECOND]["action"] == "create"
    assert ids(host) >= {SECOND}
    mended = converge(host, host.item(FIRST), host.item(SECOND))
    assert "failed" not in mended and ids(host) == {FIRST, SECOND}


@every_host
def test_what_was_not_met_is_handed_on(
    description: type[FakeHost], new_host: NewHost, converge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = new_host(description)
    monkeypatch.setattr(host_run, "KINDS", (host.kind,))
    before = host.state()
    kind, item = host.kind(), host.item(FIRST, state="present")
    for need in kind.needs(item):
        answer = converge(host, item, unmet={need: "no store"})
        assert answer["by_id"][FIRST]["error"].endswith("no store")
        assert host.state() == before and not answer["changed"]
    run = host_run.HostRun({kind.items: [{**_defaults(kind), **item}]}, {}, unmet={FIRST: ("", FIRST, "no store")})
    run.converge()
    assert {need for need, reason in run.unmet().items() if reason[2] == "no store"} >= set(kind.provides(item))


def _defaults(kind: Kind) -> dict[str, Any]:
    return {name: option.get("default") for name, option in kind.item["options"].items()}


@every_host
def test_it_is_listed_by_its_marks(description: type[FakeHost], new_host: NewHost, converge: Any) -> None:
    host = new_host(description)
    assert ids(host) == set()
    host.add_others()
    assert ids(host) == set()
    converge(host, host.item(FIRST), host.item(SECOND))
    assert ids(host) == {FIRST, SECOND}
    converge(host, absent(FIRST))
    assert ids(host) == {SECOND}


@every_host
def test_a_run_that_is_killed_is_completed_by_the_next(
    description: type[FakeHost], new_host: NewHost, converge: Any, tmp_path: Path
) -> None:
    """Killed before each of its writes: what is made, changed and removed after that is as if nothing had been."""
    host = new_host(description)
    first, changed, gone = host.item(FIRST), host.item(FIRST, **host.change), absent(FIRST)
    # What is there, what the run was about, and what is wanted later.
    stories = [([], first, first), ([], first, gone), ([first], changed, changed), ([first], gone, gone)]
    if not host.change:
        del stories[2]
    for there, killed, wanted in stories:
        reference = new_host(description)
        for item in (reference.item(SECOND), *there, wanted):
            converge(reference, item)
        expected, writes = reference.state(), 0
        while _killed(converge, host := new_host(description), there, killed, writes):
            answer = converge(host, wanted)
            assert "failed" not in answer, answer["msg"]
            assert host.state() == expected, f"killed at write {writes} of {killed}"
            assert not converge(host, wanted)["changed"]
            writes += 1
        assert writes > 0


def _killed(converge: Any, host: FakeHost, there: list[Any], item: Any, writes: int) -> bool:
    """Whether a run of *item* was killed after so many writes; it may have needed no more."""
    for before in (host.item(SECOND), *there):
        converge(host, before)
    try:
        with killed_after(writes, host.root):
            converge(host, item)
    except Killed:
        return True
    return False
