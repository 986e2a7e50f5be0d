#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Pack a release of Skywright for controllers
description:
  - Packs everything that a controller runs, so that controllers need no access to the internet. Run the module on the
    machine that runs Ansible, with the Python of Ansible.
  - One archive has the project's files. Its name has the hash of their content, so any change makes a new release.
  - The other archive has the wheels of the dependencies, in the versions of C(requirements.lock), for this machine's
    Python and processor. Its name has the hash of their requirements; pip downloads them once.
  - The module removes archives of earlier releases.
extends_documentation_fragment: skywright.cloud.converge
options:
  source:
    description: The checkout.
    type: path
    required: true
  directory:
    description: The directory of the archives.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Pack this checkout
  skywright.cloud.release_archive:
    source: "{{ playbook_dir }}/.."
    directory: /srv/overcloud/release
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

RETURN = r"""
results:
  description: Two entries, with the file names of the archives as C(id).
  returned: always
  type: list
  elements: dict
  sample: [{id: project-0123456789ab.tar.gz, changed: true}, {id: wheels-ba9876543210.tar, changed: false}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.locks import lock

ARGUMENT_SPEC = {
    "source": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
}
CONTENT = (
    ".collections",
    "ansible.cfg",
    "api",
    "galaxy.yml",
    "meta",
    "playbooks",
    "plugins",
    "requirements.lock",
    "roles",
)
# A checkout may lack noVNC, the page of consoles.
OPTIONAL = (".novnc",)
FETCH_SECONDS = 900


def files_of(source):
    """The project's files, relative to *source*, in order."""
    found = []
    for name in CONTENT + OPTIONAL:
        path = os.path.join(source, name)
        if not os.path.lexists(path):
            if name in OPTIONAL:
                continue
            raise ItemError(f"{source} is not a checkout of Skywright: it has no {name}")
        if os.path.isfile(path):
            found.append(name)
        for parent, directories, names in os.walk(path):
            links = [name for name in directories if os.path.islink(os.path.join(parent, name))]
            directories[:] = [name for name in directories if name != "__pycache__" and not name.endswith(".egg-info")]
            found += [os.path.relpath(os.path.join(parent, name), source) for name in [*names, *links]]
    return sorted(found)


def member(source, name):
    """Return the reproducible archive entry of a file."""
    path = os.path.join(source, name)
    entry = tarfile.TarInfo(name)
    if os.path.islink(path):
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
        return entry, b""
    with open(path, "rb") as file:
        content = file.read()
    entry.size, entry.mode = len(content), 0o755 if os.access(path, os.X_OK) else 0o644
    return entry, content


def version_of(source, names):
    """The hash of the files' names, modes and content."""
    digest = hashlib.sha256()
    for name in names:
        entry, content = member(source, name)
        digest.update(f"{name}\0{entry.mode}\0{entry.linkname}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def pack_project(source, names, path):
    """Write the archive of the project's files."""
    half = f"{path}.half"
    with gzip.GzipFile(half, "wb", mtime=0) as packed, tarfile.open("", "w", packed) as archive:
        for name in names:
            entry, content = member(source, name)
            archive.addfile(entry, io.BytesIO(content))
    os.replace(half, path)


def requirements_of(source):
    """Return the dependencies of Skywright, without its extras."""
    import tomllib  # noqa: PLC0415 - of Python 3.11, which the machine of Ansible has; hosts may not

    with open(os.path.join(source, "pyproject.toml"), "rb") as file:
        return sorted(tomllib.load(file)["project"]["dependencies"])


def key_of(source, requirements):
    """Return the hash of everything that determines the wheels."""
    with open(os.path.join(source, "requirements.lock"), encoding="utf-8") as file:
        asked = [file.read(), requirements, platform.python_version_tuple()[:2], platform.machine()]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def pack_wheels(runner, source, requirements, path):
    """Download the wheels and write their archive."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as scratch:
        wheels, archive_path = os.path.join(scratch, "wheels"), os.path.join(scratch, "wheels.tar")
        locked = os.path.join(source, "requirements.lock")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        runner.write([*pip, "--constraint", locked, "--wheel-dir", wheels, *requirements], timeout=FETCH_SECONDS)
        with tarfile.open(archive_path, "w") as archive:
            for name in sorted(os.listdir(wheels)):
                archive.add(os.path.join(wheels, name), name)
        os.replace(archive_path, path)


def main():
    """Converge the archives."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    source, directory = os.path.realpath(module.params["source"]), module.params["directory"]
    runner = Runner()
    try:
        names, requirements = files_of(source), requirements_of(source)
        project = f"project-{version_of(source, names)}.tar.gz"
        wheels = f"wheels-{key_of(source, requirements)}.tar"
    except (ItemError, OSError) as error:
        module.fail_json(msg=str(error))

    def create(step):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, step.id)
        with lock("release-archive", timeout=FETCH_SECONDS):
            if step.id == project:
                pack_project(source, names, path)
            else:
                pack_wheels(runner, source, requirements, path)
            for other in set(os.listdir(directory)) - {project, wheels}:
                if other.split("-")[0] == step.id.split("-")[0]:
                    os.unlink(os.path.join(directory, other))

    converge(
        module,
        items=[{"id": project}, {"id": wheels}],
        read=lambda items: {i["id"]: {} for i in items if os.path.exists(os.path.join(directory, i["id"]))},
        want=lambda item, have: {},
        apply=each({"create": create}),
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()
