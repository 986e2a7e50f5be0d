"""base_tree with a scripted mmdebstrap."""

from pathlib import Path

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.modules import base_tree


@pytest.fixture
def args(tmp_path):
    return {"cache": str(tmp_path / "cache"), "suite": "bookworm", "packages": ["b", "a"], "hooks": ["true"]}


@pytest.fixture
def builds(monkeypatch):
    """Every build that was asked for; C(fail) among them makes the next one fail half-way."""
    asked = []

    def run(argv, timeout):
        if "mmdebstrap" in argv:
            failing = "fail" in asked
            asked.append(argv)
            (Path(argv[-1]) / "etc").mkdir(parents=True)
            if failing:
                raise ItemError("no network")
        elif argv[0] == "rm":
            Path(argv[-1]).rename(argv[-1] + ".removed")
        return ""

    monkeypatch.setattr(Runner, "_run", staticmethod(run))
    return asked


def test_builds_beside_its_place_and_moves_it_there(run_module, args, builds):
    answer = run_module(base_tree.main, args)
    tree = Path(answer["results"][0]["id"])
    assert answer["changed"]
    assert (tree / "etc").is_dir()
    assert builds[0][-1] == f"{args['cache']}/.half-made"
    assert "--include=a,b" in builds[0]


def test_a_second_run_changes_nothing_whatever_the_order_of_packages(run_module, args, builds):
    first = run_module(base_tree.main, args)
    second = run_module(base_tree.main, args | {"packages": ["a", "b"]})
    assert not second["changed"]
    assert second["results"][0]["id"] == first["results"][0]["id"]
    assert len(builds) == 1


@pytest.mark.parametrize("other", [{"packages": ["a"]}, {"hooks": []}, {"excludes": ["/x"]}, {"suite": "trixie"}])
def test_another_recipe_is_another_tree(run_module, args, builds, other):
    first = run_module(base_tree.main, args)
    second = run_module(base_tree.main, args | other)
    assert second["changed"]
    assert second["results"][0]["id"] != first["results"][0]["id"]


def test_a_failed_build_leaves_no_tree_and_the_next_one_begins_anew(run_module, args, builds):
    builds.append("fail")
    failed = run_module(base_tree.main, args)
    assert failed["failed"]
    assert "no network" in failed["msg"]
    assert not Path(failed["results"][0]["id"]).exists()
    builds.clear()
    again = run_module(base_tree.main, args)
    assert Path(again["results"][0]["id"]).is_dir()


def test_check_mode_builds_nothing(run_module, args, builds):
    assert run_module(base_tree.main, args, check=True)["changed"]
    assert builds == []
