"""host_items: all kinds of one host in one process."""

import json
import os
import threading

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import host_run, kind, spec
from ansible_collections.skywright.cloud.plugins.module_utils.converge import each
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS, options
from ansible_collections.skywright.cloud.plugins.modules import host_items

from .conftest import predicted

LIMIT = 10


class Toy(kind.Kind):
    """A kind that keeps its things in a dictionary of the test."""

    item = spec.list_of("Things.", id=spec.option("Id."), state=spec.state("Whether."), part=spec.option("Part."))
    things = {}
    journal = []
    trouble = {}

    def read(self, items):
        return {item["id"]: self.things[item["id"]] for item in items if item["id"] in self.things}

    def want(self, item, have):
        return {"part": item.get("part")} if item["state"] == "present" else None

    def write(self, step):
        self.journal.append((self.name, step.action, step.id))
        if step.id in self.trouble:
            raise self.trouble[step.id]
        if step.want is None:
            del self.things[step.id]
        else:
            self.things[step.id] = step.want

    def apply(self, steps, done):
        return each(dict.fromkeys(("create", "update", "delete"), self.write))(steps, done)


class Wheel(Toy):
    name, items, label = "wheel", "wheels", "wheel"


class Motor(Toy):
    name, items, label = "motor", "motors", "motor"


class Car(Toy):
    name, items, label, after = "car", "cars", "car", ("wheel", "motor")

    def needs(self, item):
        return [item["id"], item["part"]]


@pytest.fixture
def toys(monkeypatch):
    for toy in (Wheel, Motor, Car):
        monkeypatch.setattr(toy, "things", {})
    monkeypatch.setattr(Toy, "journal", [])
    monkeypatch.setattr(Toy, "trouble", {})
    monkeypatch.setattr(host_run, "KINDS", (Wheel, Motor, Car))


def item(identifier, part="", state="present"):
    return {"id": identifier, "state": state, "part": part}


def converge(items, **settings):
    run = host_run.HostRun(items, {}, **settings)
    results, _commands = run.converge()
    return {(result["kind"], result["id"]): result for result in results}


def test_present_items_converge_in_the_order_of_their_kinds_and_absent_ones_in_reverse(toys):
    items = {"cars": [item("c", "w")], "wheels": [item("w")], "motors": [item("m")]}
    converge(items)
    assert {entry[0] for entry in Toy.journal[:2]} == {"wheel", "motor"} and Toy.journal[2] == ("car", "create", "c")
    Toy.journal.clear()
    converge({name: [{**one, "state": "absent"} for one in found] for name, found in items.items()})
    assert Toy.journal[0] == ("car", "delete", "c") and len(Toy.journal) == 3


@pytest.mark.parametrize("state", ["present", "absent"])
def test_kinds_keep_their_order_without_items_of_the_kind_between_them(toys, monkeypatch, state):
    monkeypatch.setattr(Motor, "after", ("wheel",))
    monkeypatch.setattr(Car, "after", ("motor",))
    items = {"cars": [item("c", state=state)], "wheels": [item("w", state=state)]}
    parts = {part.kind.name: part for part in host_run.HostRun(items, {}).parts}
    first, then = ("wheel", "car") if state == "present" else ("car", "wheel")
    assert parts[then].before == [parts[first]]
    assert parts[first].before == []


def test_a_second_run_changes_nothing_and_check_mode_predicts(toys):
    items = {"cars": [item("c", "w")], "wheels": [item("w")]}
    foretold = converge(items, check_mode=True)
    assert Toy.journal == []
    assert foretold == converge(items)
    assert not any(result["changed"] for result in converge(items).values())


def test_what_needs_something_that_failed_is_not_touched_and_says_why(toys):
    from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError  # noqa: PLC0415

    Toy.trouble["w"] = ItemError("it is flat")
    found = converge({"cars": [item("c", "w"), item("d", "v")], "wheels": [item("w"), item("v")]})
    assert found["car", "c"]["error"] == "wheel w: it is flat"
    assert found["car", "d"]["status"] == "present" and "c" not in Car.things


def test_what_failed_before_the_module_began_is_handed_on(toys):
    found = converge({"cars": [item("c", "w")]}, unmet=kind.handed_on({"w": "no wheels here"}))
    assert found["car", "c"]["error"] == "no wheels here"


def test_a_mistake_in_one_kind_is_its_items_error_and_loses_no_others(toys):
    Toy.trouble["m"] = KeyError("x")
    found = converge({"motors": [item("m")], "wheels": [item("w")], "cars": [item("c", "m"), item("d", "w")]})
    assert found["motor", "m"]["error"] == "KeyError: 'x'" and "Traceback" in found["motor", "m"]["exception"]
    assert found["car", "c"]["error"] == "motor m: KeyError: 'x'"
    assert found["wheel", "w"]["status"] == found["car", "d"]["status"] == "present"


def test_independent_kinds_run_at_the_same_time(toys, monkeypatch):
    both = threading.Barrier(2, timeout=LIMIT)
    monkeypatch.setattr(Toy, "write", lambda self, step: both.wait())
    found = converge({"motors": [item("m")], "wheels": [item("w")]})
    assert not any("error" in result for result in found.values())


def test_an_item_that_starts_first_waits_for_other_lists_but_not_for_its_own(toys, monkeypatch):
    monkeypatch.setattr(Motor, "items", "cars")
    first_is_done = threading.Event()

    def write(self, step):
        if (self.name, step.id) == ("motor", "c"):
            assert first_is_done.wait(LIMIT)
        Toy.journal.append((self.name, step.id))
        if (self.name, step.id) == ("car", "first"):
            first_is_done.set()

    monkeypatch.setattr(Toy, "write", write)
    first = {**item("first", "w"), "starts_first": True}
    found = converge({"cars": [item("c", "w"), first], "wheels": [item("w")]})
    assert not any("error" in result for result in found.values())
    order = Toy.journal.index
    assert order(("wheel", "w")) < order(("car", "first")) < order(("motor", "c")) < order(("car", "c"))


def test_each_result_is_told_when_it_is_final(toys):
    told = []
    items = {"wheels": [item("w"), item("v")], "cars": [item("c", "w")]}
    Wheel.things["v"] = {"part": ""}
    converge(items, report=told.append)
    assert [(result["kind"], result["id"]) for result in told] == [("wheel", "v"), ("wheel", "w"), ("car", "c")]
    assert all(result["final"] for result in told)


def test_an_item_of_several_kinds_is_final_with_the_last(toys, monkeypatch):
    monkeypatch.setattr(Motor, "items", "wheels")
    told = []
    converge({"wheels": [item("w")]}, report=told.append)
    assert [result["final"] for result in told] == [False, True]


def test_check_mode_knows_what_would_be_gone_by_then(toys, monkeypatch):
    seen = {}
    monkeypatch.setattr(Wheel, "want", lambda self, item, have: seen.setdefault("gone", set(self.gone)) and None)
    monkeypatch.setattr(Wheel, "after", ())
    Car.things["c"] = {}
    items = {"cars": [item("c", "", "absent")], "wheels": [item("w", "", "absent")]}
    converge(items, check_mode=True)
    assert seen["gone"] == {"c"}


def test_the_module_runs_all_kinds_and_writes_its_progress(run_module, tmp_path):
    progress = tmp_path / "progress"
    os.mkfifo(progress)
    reader = os.open(progress, os.O_RDONLY | os.O_NONBLOCK)
    server = "0a0b0c0d-0000-4000-8000-000000000004"
    args = {"items": {"servers": [{"id": server, "state": "absent"}]}, "hypervisor_libvirt_uri": "test:///default"}
    assert predicted(run_module(host_items.main, args, check=True)) == predicted(run_module(host_items.main, args))
    answer = run_module(host_items.main, {**args, "progress": str(progress)})
    told = [json.loads(line) for line in os.read(reader, 1 << 16).splitlines()]
    os.close(reader)
    result = {"id": server, "kind": "libvirt_domain", "changed": False, "action": None, "status": "absent"}
    assert told == [{**result, "final": True}]
    assert answer["results"][0]["kind"] == "libvirt_domain"
    assert answer == run_module(host_items.main, {**args, "progress": str(progress)}), "without a reader, too"


def test_every_kind_names_others_that_are_there_and_come_before_it():
    names = [found.name for found in KINDS]
    for number, found in enumerate(KINDS):
        assert set(found.after) <= set(names[:number]), found.name
    assert len(options.SETTINGS) == sum(len(found.variables) for found in KINDS), (
        "two kinds have a variable of one name"
    )
