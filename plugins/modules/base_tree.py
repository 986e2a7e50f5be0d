#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Debian tree, made once for every recipe."""

from __future__ import annotations

DOCUMENTATION = r"""
module: base_tree
short_description: A cached tree of a Debian system
description:
  - Makes a directory with a whole Debian system by mmdebstrap, unless one of the same recipe is there.
  - The recipe is everything that the tree is made of; its hash is in the directory's name.
  - The tree is made under another name and renamed when it is complete, so an interrupted run leaves no half tree.
extends_documentation_fragment: skywright.cloud.converge
options:
  cache:
    description: The directory that holds the trees.
    type: path
    required: true
  suite:
    description: The Debian release.
    type: str
    required: true
  packages:
    description: The packages in the tree, without what they only recommend.
    type: list
    elements: str
    required: true
  excludes:
    description: Paths that packages do not get to install.
    type: list
    elements: str
    default: []
  hooks:
    description: Shell commands that finish the tree, whose path is their argument.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make a tree for containers
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
  description: The writes that were sent.
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
# Whatever ends this module ends all that it started, and what they mounted is gone with them.
BOUND = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def recipe_of(params):
    """What the tree is made of; the order of packages does not matter."""
    recipe = {key: params[key] for key in ("suite", "excludes", "hooks")}
    return dict(recipe, packages=sorted(set(params["packages"])))


def path_of(cache, recipe):
    """Where the tree of this recipe is."""
    text = json.dumps(recipe, sort_keys=True)
    return os.path.join(cache, "base-" + hashlib.sha256(text.encode()).hexdigest()[:12])


def build(runner, recipe, path):
    """Make the tree; whoever comes second waits and finds it made."""
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
