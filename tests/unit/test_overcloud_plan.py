"""Validation of overcloud plans, which reports all problems at once."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api
from skywright.cli.overcloud.overclouds import load, scaled
from skywright.services.operations.overcloud.plan import BadPlan, read

GOOD: dict[str, Any] = {
    "name": "ha",
    "virtual_address": "10.0.0.9/24",
    "interface": "eth0",
    "key": "/root/key",
    "data_interface": "eth1",
    "roles": {"controllers": ["c1", "c2", "c3"], "computes": ["n1", "n2"], "networks": ["n1"]},
    "networks": {"management": "10.0.0.0/24", "data": "172.16.0.0/24"},
    "hosts": {
        **{f"c{number}": {"address": f"10.0.0.1{number}"} for number in (1, 2, 3)},
        "n1": {"address": "10.0.0.21", "data_address": "172.16.0.21/24", "variables": {"size": 2}},
        "n2": {"address": "10.0.0.22", "data_address": "172.16.0.22/24", "data_interface": "eth7"},
    },
    "variables": {"size": 1, "color": "{{ red }}"},
}


def changed(**changes: Any) -> dict[str, Any]:
    """Return the plan with other values; `hosts__n1__address` is a path."""
    document = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    return document


def problems(document: Any) -> list[str]:
    with pytest.raises(BadPlan) as caught:
        read(document)
    return caught.value.problems


def test_a_plan_has_groups_and_variables() -> None:
    plan = read(GOOD)
    assert [plan.groups(name) for name in ("c1", "n1", "n2")] == [
        ["controllers"],
        ["computes", "networks"],
        ["computes"],
    ]
    assert plan.variables_of("c1") == {"vswitch_data_interface": "eth1", "size": 1, "color": "{{ red }}"}
    assert plan.variables_of("n1")["size"] == 2
    assert plan.variables_of("n2")["vswitch_data_interface"] == "eth7"
    assert plan.variables_of("n2")["vswitch_data_address"] == "172.16.0.22/24"
    assert read(plan.model_dump()) == plan
    assert read(json.loads(json.dumps(plan.model_dump()))) == plan


def test_all_problems_are_reported_at_once() -> None:
    document = changed(
        roles={"controllers": ["c1", "c1"], "computes": ["n1", "n9"], "networks": []},
        hosts__c2__address="10.0.0.11",
        hosts__c3__address="192.0.2.1",
        hosts__n1__data_address="172.16.0.21/16",
        virtual_address="10.0.0.255/24",
        key=None,
        variables={"ansible_user": "x", "some_token": "x", "list": [{"__ansible_unsafe": 1}]},
    )
    found = problems(document)
    for words in (
        "roles.computes: n9 is not one of the hosts",
        "roles.controllers: c1 is listed 2 times",
        "hosts.c2: it has no role",
        "hosts.c1.key: the file of the SSH key is required",
        "roles.controllers: an even number",
        "roles.networks: at least one is required",
        "virtual_address: 10.0.0.255 is not a host address",
        "hosts.c2.address: 10.0.0.11 is also the address of hosts.c1.address",
        "hosts.c3.address: 192.0.2.1 is not in networks.management, 10.0.0.0/24",
        "hosts.n1.data_address: its prefix differs from networks.data",
        "variables: ansible_user must not be set in a plan",
        "variables: some_token has the name of a secret",
        "variables: list: the name '__ansible_unsafe' is reserved",
    ):
        assert any(text.startswith(words) for text in found), (words, found)


def test_unknown_fields_are_named_without_their_values() -> None:
    found = problems(changed(name="X", colour="red", hosts__c1__address="canary", hosts__c2__port="22", roles={}))
    assert [text.partition(":")[0] for text in found] == [
        "name", "roles", "hosts.c1.address", "hosts.c2.port", "the plan",
    ]  # fmt: skip
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks__data": "10.0.0.128/25"}, "networks.data: it overlaps networks.management"),
        ({"networks__data": None}, "networks.data: it is required"),
        ({"virtual_address": "10.0.1.9/24"}, "virtual_address: it is not in networks.management"),
        ({"virtual_address": "10.0.0.11/24"}, "hosts.c1.address: 10.0.0.11 is also the address of virtual_address"),
        ({"hosts__n1__data_address": None}, "hosts.n1.data_address: it is required"),
        ({"hosts__n1__data_address": "172.16.0.22/24"}, "hosts.n2.data_address: 172.16.0.22 is also the address of"),
        ({"data_interface": None}, "hosts.n1.data_interface: it is required"),
        ({"variables": {"x": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}}, "variables: x is nested too deeply"),
        ({"variables": {"x": {"y": [{"password": 1}]}}}, "variables: x has the name of a secret"),
    ],
)
def test_one_mistake_is_one_problem(changes: dict[str, Any], words: str) -> None:
    found = problems(changed(**changes))
    assert found[0].startswith(words)


@pytest.mark.parametrize("document", [None, [], "plan", 1, {}, {"hosts": [1]}, {1: 2}])
def test_invalid_documents_are_refused(document: Any) -> None:
    assert problems(document)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plan.yml"
    path.write_text(text)
    return path


def test_a_file_is_read_with_keys_named_relative_to_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    document = changed(key="~/.ssh/id", hosts__c1__key="keys/c1")
    plan = load(write(tmp_path, yaml.safe_dump(document)))
    assert plan.key == "/home/me/.ssh/id"
    assert plan.hosts["c1"].key == f"{Path.cwd()}/keys/c1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", "the key 'name' is a duplicate"),
        ("hosts: {a: {address: 1}, a: {}}", "the key 'a' is a duplicate"),
        ("1: 2", "the key 1 is not a text"),
        ("name: !!python/object:os.system x", "could not determine a constructor"),
        ("{", "cannot be read"),
        ("[]", "is not a valid plan"),
    ],
)
def test_invalid_files_are_refused_with_the_reason(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        load(write(tmp_path, text))


def test_hosts_are_added_to_a_deployed_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = read(GOOD).model_dump()
    monkeypatch.setattr(Api, "__init__", lambda _self: None)
    monkeypatch.setattr(Api, "request", lambda *_arguments: {"overcloud": {"plan": copy.deepcopy(deployed)}})
    plan = scaled("ha", ["n3=10.0.0.23,172.16.0.23/24", "c2=10.0.0.99"], "computes", None)
    assert plan.roles.computes == ["n1", "n2", "n3"]
    assert (plan.hosts["n3"].address, plan.hosts["n3"].data_address) == ("10.0.0.23", "172.16.0.23/24")
    assert (plan.hosts["c2"].address, plan.roles.controllers) == ("10.0.0.99", ["c1", "c2", "c3"])
    for wrong in (["n3"], ["=10.0.0.23"], ["n3=10.0.0.23"], ["n3=10.0.0.22,172.16.0.23/24"]):
        with pytest.raises(StepFailed):
            scaled("ha", wrong, "computes", None)
    with pytest.raises(StepFailed, match="not a role"):
        scaled("ha", ["n3=10.0.0.23"], "storages", None)
    with pytest.raises(StepFailed, match="No change is given"):
        scaled("ha", [], "computes", None)


@pytest.mark.parametrize(("controllers", "computes"), [(3, 2), (1, 0)])
def test_the_labs_plan_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: int, computes: int
) -> None:
    monkeypatch.setenv("SKYWRIGHT_HA_FILES", str(tmp_path))
    monkeypatch.setenv("SKYWRIGHT_HA_CONTROLLERS", str(controllers))
    monkeypatch.setenv("SKYWRIGHT_HA_COMPUTES", str(computes))
    text = subprocess.run(["inventories/ha/hosts.py", "--plan"], check=True, capture_output=True, text=True).stdout
    plan = read(yaml.safe_load(text))
    assert len(plan.roles.controllers) == controllers
    assert len(plan.hosts) == controllers + computes
