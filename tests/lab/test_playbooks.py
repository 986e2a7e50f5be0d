"""The playbooks for operators on real hosts: check mode on converged hosts, and a declared cloud without an API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.support import ROOT, Lab

pytestmark = pytest.mark.alone

EXAMPLE = ROOT / "docs/examples/cloud.yml"


def test_check_mode_reports_nothing_on_converged_hosts(lab: Lab) -> None:
    """The Molecule scenarios test that a second run changes nothing."""
    lab.playbook("site", "--check", "--diff").assert_well(changed=False)


@pytest.fixture
def declared(lab: Lab, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return the variables of the example, and the same with everything absent."""
    cloud = yaml.safe_load(EXAMPLE.read_text())
    for items in cloud.values():
        for item in items:
            item["state"] = "absent"
    absent = tmp_path / "absent.yml"
    absent.write_text(yaml.safe_dump(cloud))
    before = lab.domains()
    yield EXAMPLE, absent
    if lab.domains() != before:
        lab.playbook("cloud", "-e", f"@{absent}").assert_well()


def test_a_declared_cloud_is_created_kept_and_removed(lab: Lab, declared: tuple[Path, Path]) -> None:
    present, absent = (f"@{path}" for path in declared)
    before = lab.domains()
    lab.playbook("cloud", "-e", present).assert_well(changed=True)
    lab.playbook("cloud", "-e", present).assert_well(changed=False)
    lab.playbook("cloud", "-e", present, "--check").assert_well(changed=False)
    made = {name: found - before[name] for name, found in lab.domains().items()}
    assert all(len(ids) == 1 for ids in made.values())
    for name, ids in made.items():
        lab[name].wait_booted(ids.pop(), "web-")
    lab.playbook("cloud", "-e", absent).assert_well(changed=True)
    lab.playbook("cloud", "-e", absent, "--check").assert_well(changed=False)
    assert lab.domains() == before
