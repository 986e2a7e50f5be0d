"""Argument specifications, defaults and packages of roles are consistent."""

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def load(path):
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def packages(role):
    """Return the packages that a role's tasks install."""
    tasks = [task for path in (ROLES / role / "tasks").glob("*.yml") for task in load(path)]
    names = [task["ansible.builtin.apt"].get("name", []) for task in tasks if "ansible.builtin.apt" in task]
    return {package for some in names if isinstance(some, list) for package in some}


@pytest.mark.parametrize("role", NAMES)
def test_defaults_equal_those_of_the_specification(role):
    options = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {}
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert (load(ROLES / role / "defaults/main.yml") or {}) == documented


@pytest.mark.parametrize("role", NAMES)
def test_galaxy_describes_the_role_as_its_specification(role):
    description = load(ROLES / role / "meta/main.yml")["galaxy_info"]["description"]
    assert description == load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["short_description"]


@pytest.mark.parametrize("role", NAMES)
def test_variables_begin_with_the_name_of_the_role(role):
    options = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {}
    assert all(name.startswith(f"{role}_") for name in options)
    assert all(name.lstrip("_").startswith(f"{role}_") for name in load(ROLES / role / "vars/main.yml") or {})


def test_the_labs_base_tree_has_every_package_of_the_roles():
    """Hosts of the lab have no access to package repositories."""
    tree = set(load(ROLES / "lab_host/vars/main.yml")["_lab_host_tree_packages"])
    for role in ("common", "vswitch", "hypervisor", "network_node"):
        assert packages(role), role
        assert packages(role) <= tree
