"""The operator's playbooks on real hosts: what they say once more is nothing, and a declared cloud needs no API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.support import ROOT, Lab

EXAMPLE = ROOT / "docs/examples/cloud.yml"


def test_a_second_run_changes_nothing_on_any_host(lab: Lab) -> None:
    lab.playbook("site").assert_well(changed=False)
    lab.playbook("site", "--check", "--diff").assert_well(changed=False)


@pytest.fixture
def declared(lab: Lab, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The example, and the same with everything absent."""
    cloud = yaml.safe_load(EXAMPLE.read_text())
    for items in cloud.values():
        for item in items:
            item["state"] = "absent"
    absent = tmp_path / "absent.yml"
    absent.write_text(yaml.safe_dump(cloud))
    yield EXAMPLE, absent
    lab.playbook("cloud", "-e", f"@{absent}").assert_well()


def test_a_declared_cloud_is_made_kept_and_removed(lab: Lab, declared: tuple[Path, Path]) -> None:
    present, absent = (f"@{path}" for path in declared)
    before = {name: host.domains() for name, host in lab.hosts.items()}
    lab.playbook("cloud", "-e", present).assert_well(changed=True)
    lab.playbook("cloud", "-e", present).assert_well(changed=False)
    lab.playbook("cloud", "-e", present, "--check").assert_well(changed=False)
    made = {name: set(host.domains()) - set(before[name]) for name, host in lab.hosts.items()}
    assert all(len(ids) == 1 for ids in made.values())
    for name, ids in made.items():
        lab[name].wait_booted(ids.pop(), "web-")
    lab.playbook("cloud", "-e", absent).assert_well(changed=True)
    lab.playbook("cloud", "-e", absent, "--check").assert_well(changed=False)
    assert {name: set(host.domains()) for name, host in lab.hosts.items()} == {n: set(d) for n, d in before.items()}
