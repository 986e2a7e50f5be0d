#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_install
short_description: Install a release of Skywright on a controller
description:
  - Installs the archives of M(skywright.cloud.release_archive), without access to the internet. The archives must be on
    the host.
  - C(releases/VERSION) has the project's files, C(venvs/KEY) the packages in a virtual environment that releases with
    the same packages share; C(current) is a symbolic link to the release, which is set last.
  - The module keeps the previous release, and removes earlier releases and unused virtual environments and archives.
extends_documentation_fragment: skywright.cloud.converge
options:
  directory:
    description: The directory of the releases.
    type: path
    default: /opt/skywright
  project:
    description: The archive of the project's files; its name has the version.
    type: path
    required: true
  wheels:
    description: The archive of the wheels.
    type: path
    required: true
  state_directory:
    description: The target of the link C(var) in the release, which the services may write to.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Install a release
  skywright.cloud.release_install:
    project: /opt/skywright/archives/project-0123456789ab.tar.gz
    wheels: /opt/skywright/archives/wheels-ba9876543210.tar
    state_directory: /var/lib/skywright/controller
"""

RETURN = r"""
results:
  description: One entry; its C(id) is the version.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0123456789ab, changed: true, action: create}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import os
import re
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import remove

ARGUMENT_SPEC = {
    "directory": {"type": "path", "default": "/opt/skywright"},
    "project": {"type": "path", "required": True},
    "wheels": {"type": "path", "required": True},
    "state_directory": {"type": "path", "required": True},
}
INSTALL_SECONDS = 600
COMPLETE = ".complete"


class Installation:
    """The directory of releases."""

    def __init__(self, runner, params):
        self.runner = runner
        self.params = params
        self.root = params["directory"]
        self.version = _hash_in(params["project"])
        self.key = _hash_in(params["wheels"])
        self.release = os.path.join(self.root, "releases", self.version)
        self.venv = os.path.join(self.root, "venvs", self.key)
        self.current = os.path.join(self.root, "current")

    @property
    def want(self):
        """Return the state of a complete installation."""
        return {"packages": self.key, "release": True, "current": self.version}

    def read(self):
        """Return the state of the installation."""
        link = os.readlink(self.current) if os.path.islink(self.current) else None
        complete = os.path.exists(os.path.join(self.venv, COMPLETE))
        have = {
            "packages": self.key if complete else None,
            "release": os.path.isdir(self.release) and self._used(self.version) == self.key,
            "current": link and os.path.basename(link),
        }
        return have if any(have.values()) else None

    def install(self, step):
        """Create the missing parts, then switch the link."""
        if step.changes("packages"):
            self._make_venv()
        if step.changes("release"):
            self._unpack()
        before = (step.have or {}).get("current")
        _link(os.path.join("releases", self.version), self.current)
        self._prune({self.version, before or self.version})

    def _make_venv(self):
        remove(self.venv)
        os.makedirs(os.path.dirname(self.venv), exist_ok=True)
        self.runner.write(["/usr/bin/python3", "-m", "venv", self.venv], timeout=INSTALL_SECONDS)
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            _extract(self.params["wheels"], scratch)
            wheels = [os.path.join(scratch, name) for name in sorted(os.listdir(scratch))]
            pip = [os.path.join(self.venv, "bin/pip"), "--disable-pip-version-check", "install", "--quiet"]
            self.runner.write([*pip, "--no-index", "--no-deps", "--no-cache-dir", *wheels], timeout=INSTALL_SECONDS)
        with open(os.path.join(self.venv, COMPLETE), "w"):
            pass

    def _unpack(self):
        """Install the files atomically, with compiled bytecode, because the services cannot write there."""
        half = self.release + ".half"
        remove(half)
        os.makedirs(half)
        _extract(self.params["project"], half)
        _link(os.path.join("..", "..", "venvs", self.key), os.path.join(half, ".venv"))
        _link(self.params["state_directory"], os.path.join(half, "var"))
        python = os.path.join(self.venv, "bin/python")
        compiled = ["api", "plugins/module_utils"]
        argv = [python, "-m", "compileall", "-q", "-s", half, "-p", self.release]
        self.runner.write([*argv, *(os.path.join(half, name) for name in compiled)], timeout=INSTALL_SECONDS)
        remove(self.release)
        os.rename(half, self.release)

    def _prune(self, versions):
        """Remove everything that neither this release nor the previous one uses."""
        keys = {self._used(version) for version in versions}
        archives = {os.path.realpath(self.params[name]) for name in ("project", "wheels")}
        self._keep("releases", versions)
        self._keep("venvs", keys)
        self._keep(os.path.dirname(self.params["project"]), {os.path.basename(path) for path in archives})

    def _keep(self, directory, names):
        directory = os.path.join(self.root, directory)
        for name in set(os.listdir(directory)) - names:
            remove(os.path.join(directory, name))

    def _used(self, version):
        """The key of the virtual environment that a release uses."""
        link = os.path.join(self.root, "releases", version, ".venv")
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None


def _hash_in(path):
    found = re.fullmatch(r"[a-z]+-([0-9a-f]{12})\.tar(\.gz)?", os.path.basename(path))
    if not found:
        raise ItemError(f"{path} is not an archive of a release")
    return found[1]


def _extract(path, directory):
    with tarfile.open(path) as archive:
        archive.extractall(directory)


def _link(target, path):
    """Replace a symbolic link atomically."""
    new = f"{path}.new"
    remove(new)
    os.symlink(target, new)
    os.replace(new, path)


def main():
    """Converge the release."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner = Runner()
    try:
        installation = Installation(runner, module.params)
    except ItemError as error:
        module.fail_json(msg=str(error))
    converge(
        module,
        items=[{"id": installation.version}],
        read=lambda items: {installation.version: have} if (have := installation.read()) else {},
        want=lambda item, have: installation.want,
        apply=each({"create": installation.install, "update": installation.install}),
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
