"""What holds for every kind of resource: a new one needs no test of that, but a description in `lives`."""

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS as HOST_KINDS

from resources.life import Life, Story, life_of
from skywright.jobs.kinds import ResourceKind
from skywright.jobs.runs import replay
from skywright.services import registry

KINDS = [kind for kind in registry.kinds() if isinstance(kind, ResourceKind)]
LIVES = [found for kind in KINDS if (found := life_of(kind))]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every_life = pytest.mark.parametrize("life_of_one", LIVES, ids=lambda found: found.kind.name)


@every_kind
def test_it_is_described(kind: ResourceKind) -> None:
    found = life_of(kind)
    assert found is not None, f"tests/unit/resources/lives/{kind.name}.py is missing"
    assert isinstance(kind, found.kind) and found.harm_in_words
    assert kind.item_kind in {each.items for each in HOST_KINDS}


@every_life
def test_it_is_made_as_planned_and_nothing_differs(life_of_one: type[Life], story: Story) -> None:
    life = life_of_one(story)
    identifier = life.make()
    assert identifier in {mark["id"] for marks in story.machine.marks().values() for mark in marks}
    report = story.drift()
    assert (report["state"], report["resources"], report["leftovers"], report["left_out"]) == ("clean", [], [], [])
    assert report["checked"][life.kind.item_kind] == report["checked"]["hosts"] == 1
    assert story.repair() == []


@every_life
def test_a_replay_of_its_runs_changes_nothing(life_of_one: type[Life], story: Story) -> None:
    life_of_one(story).make()
    before = story.machine.state()
    assert story.runs
    for run_id in story.runs:
        found = replay.prepare(story.cloud, run_id)
        assert (found.differences, found.missing) == ([], [])
        results = story.machine.converge(found.variables["skywright_items"], check=False)
        assert results and not any(result["changed"] or "error" in result for result in results)
    assert story.machine.state() == before


@every_life
def test_its_drift_is_told_and_repaired(life_of_one: type[Life], story: Story) -> None:
    life = life_of_one(story)
    identifier = life.make()
    before = story.machine.state()
    life.harm(identifier)
    report = story.drift()
    [found] = report["resources"]
    assert (found["type"], found["id"]) == (life.kind.name, identifier)
    assert sorted(difference["text"] for difference in found["differences"]) == life.harm_in_words
    assert story.repair() == [life.kind.name]
    assert story.machine.state() == before and story.drift()["state"] == "clean"


@every_life
def test_nothing_is_left_of_it(life_of_one: type[Life], story: Story) -> None:
    """A second one leaves the host as the first one did; in the end the host is empty."""
    life = life_of_one(story)
    life.end(life.make())
    before = story.machine.state()
    life.end(life.make())
    assert story.machine.state() == before and story.drift()["state"] == "clean"
    life.clean_up()
    assert not any(story.machine.marks().values())


@every_life
def test_what_no_record_knows_is_found_and_removed(life_of_one: type[Life], story: Story) -> None:
    life = life_of_one(story)
    identifier = life.make()
    with story.cloud.database.write() as session:
        life.forget(session, identifier)
    left = {(one["type"], one["id"]) for one in story.drift()["leftovers"]}
    assert (life.kind.name, identifier) in left
    story.repair()
    assert story.drift()["leftovers"] == []
    assert identifier not in {mark["id"] for marks in story.machine.marks().values() for mark in marks}
