#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cached Debian tree per recipe."""

from __future__ import annotations

DOCUMENTATION = r"""
module: base_tree
short_description: Create a cached root file system of Debian
description:
  - Creates a directory with a Debian system by mmdebstrap, unless there is one with the same recipe.
  - The recipe consists of all options that determine the tree. Its hash is in the name of the directory.
  - The tree has a temporary name until it is complete, so an interrupted run leaves no partial tree.
extends_documentation_fragment: skywright.cloud.converge
options:
  cache:
    description: The directory of the trees.
    type: path
    required: true
  suite:
    description: The Debian release.
    type: str
    required: true
  packages:
    description: The packages to install, without recommended packages.
    type: list
    elements: str
    required: true
  excludes:
    description: Paths that are left out of packages.
    type: list
    elements: str
    default: []
  hooks:
    description: Shell commands to run at the end, with the path of the tree as argument.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Create a tree for containers
  skywright.cloud.base_tree:
    cache: /var/cache/skywright
    suite: bookworm
    packages: [systemd-sysv, openssh-server]
    hooks: ['rm "$1"/etc/ssh/ssh_host_*']
"""

RETURN = r"""
results:
  description: One entry; its C(id) is the path of the tree.
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import hashlib
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock
from ansible_collections.skywright.cloud.plugins.module_utils.mounts import remove_tree

ARGUMENT_SPEC = {
    "cache": {"type": "path", "required": True},
    "suite": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "required": True},
    "excludes": {"type": "list", "elements": "str", "default": []},
    "hooks": {"type": "list", "elements": "str", "default": []},
}
BUILD_SECONDS = 900
# When the module ends for any reason, its child processes end and their mounts disappear.
BOUND = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def recipe_of(params):
    """Return everything that determines the tree, independent of the order of packages."""
    recipe = {key: params[key] for key in ("suite", "excludes", "hooks")}
    return dict(recipe, packages=sorted(set(params["packages"])))


def path_of(cache, recipe):
    """Return the path of the tree of this recipe."""
    text = json.dumps(recipe, sort_keys=True)
    return os.path.join(cache, "base-" + hashlib.sha256(text.encode()).hexdigest()[:12])


def build(runner, recipe, path):
    """Create the tree; a second process waits for the first and uses its tree."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with lock("base-tree", timeout=BUILD_SECONDS):
        if os.path.isdir(path):
            return
        half = os.path.join(os.path.dirname(path), ".half-made")
        remove_tree(runner, half)
        runner.write(_mmdebstrap(recipe, half), timeout=BUILD_SECONDS)
        os.rename(half, path)


def _mmdebstrap(recipe, target):
    argv = [*BOUND, "mmdebstrap", "--variant=minbase", "--format=directory"]
    argv += ['--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io"]
    argv += [f"--dpkgopt=path-exclude={path}" for path in recipe["excludes"]]
    argv += [f"--customize-hook={hook}" for hook in recipe["hooks"]]
    return [*argv, "--include=" + ",".join(recipe["packages"]), recipe["suite"], target]


def main():
    """Converge the tree."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner, recipe = Runner(), recipe_of(module.params)
    path = path_of(module.params["cache"], recipe)
    converge(
        module,
        items=[{"id": path}],
        read=lambda items: {path: {"recipe": recipe}} if os.path.isdir(path) else {},
        want=lambda item, have: {"recipe": recipe},
        apply=each({"create": lambda step: build(runner, recipe, path)}),
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
