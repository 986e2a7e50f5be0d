"""The options of the roles for the cloud's resources: made of the kinds' options, like the modules' documentation.

`python tests/unit/plugins/role_specs.py` writes them; a test sees that they are as written.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import LISTS, SETTINGS  # noqa: E402


def _of_the_host(variable: str) -> dict[str, Any]:
    """The role option of a setting; its default is the variable of the host, as in the module."""
    default = repr(SETTINGS[variable]["default"])
    return {**SETTINGS[variable], "default": f"{{{{ {variable} | default({default}) }}}}"}


ROLES = {
    "network": (
        "Manage tenant networks of a host and their DHCP servers",
        [],
        {"networks": LISTS["networks"], "physical_networks": _of_the_host("vswitch_physical_networks")},
    ),
    "router": (
        "Manage routers of a host",
        ["Run the role network before, which creates the interfaces of the routers."],
        {"routers": LISTS["routers"]},
    ),
    "security_group": (
        "Manage security groups of a host",
        ["The role network gives ports their security groups. Run this role before it."],
        {"security_groups": LISTS["security_groups"]},
    ),
    "image": ("Manage base images in a host's cache", [], {"images": LISTS["images"]}),
    "server": (
        "Manage servers of a host with their disks",
        ["Run the role network before, which creates the taps of the servers and removes those of absent ones."],
        {
            "servers": LISTS["servers"],
            "images": LISTS["images"],
            "libvirt_uri": _of_the_host("hypervisor_libvirt_uri"),
            "virt_type": _of_the_host("hypervisor_virt_type"),
            "shutdown_seconds": _of_the_host("hypervisor_shutdown_seconds"),
        },
    ),
}


def path_of(role: str) -> Path:
    return ROOT / "roles" / role / "meta" / "argument_specs.yml"


def content(role: str) -> str:
    """The file roles/ROLE/meta/argument_specs.yml."""
    title, description, options = ROLES[role]
    found = {f"{role}_{name}": option for name, option in options.items()}
    main = {"short_description": title, **({"description": description} if description else {})}
    specs = {"argument_specs": {"main": {**main, "options": found}}}
    return "---\n" + yaml.dump(specs, Dumper=_Dumper, sort_keys=False, width=116)


class _Dumper(yaml.SafeDumper):
    """YAML as the rest of the roles has it: entries of lists are indented, and nothing is an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


if __name__ == "__main__":
    for each in ROLES:
        path_of(each).write_text(content(each))
