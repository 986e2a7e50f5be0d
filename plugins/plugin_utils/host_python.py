# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Actions whose modules start fast: the host keeps this collection's module_utils, compiled, until it boots again.

Ansible sends a module together with all that it imports, each time. Unpacking and importing that takes 0.25 s of the
host's processor. These actions send the arguments alone. They install module_utils in `/run/skywright/lib-<digest>` if
the host has no directory with this digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from pathlib import Path

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).parents[1] / "module_utils"
PACKAGE = "ansible_collections/skywright/cloud/plugins/module_utils"
DIRECTORY = "/run/skywright"
MISSING = 83  # the exit code if the host has no such library
KEPT = 3  # libraries: runs of an older release may still use theirs

# Collecting garbage takes 2 ms of a short module, and frees little.
RUN = """
import gc, os, sys
gc.disable()
if not os.path.isdir("{path}"):
    sys.exit({missing})
sys.path.insert(0, "{path}")
from ansible_collections.skywright.cloud.plugins.module_utils.host_module import main
main()
"""
INSTALL = """
import compileall, io, os, py_compile, shutil, sys, tempfile, zipfile
os.makedirs("{directory}", mode=0o700, exist_ok=True)
new = tempfile.mkdtemp(prefix=".lib-", dir="{directory}")
zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).extractall(new)
compileall.compile_dir(new, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
try:
    os.rename(new, "{path}")
except OSError:
    shutil.rmtree(new)
found = [entry.path for entry in os.scandir("{directory}") if entry.name.startswith("lib-")]
for old in sorted(found, key=os.path.getmtime)[:-{kept}]:
    shutil.rmtree(old, ignore_errors=True)
"""


def _archive():
    """The module_utils as a zip file, the same bytes for the same files."""
    files = {f"{PACKAGE}/{path.relative_to(ROOT)}": path.read_bytes() for path in sorted(ROOT.rglob("*.py"))}
    packages = {parent for name in files for parent in Path(name).parents if parent.name}
    files = {f"{package}/__init__.py": b"" for package in packages} | files
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


ARCHIVE = _archive()
SCRIPT_VALUES = {
    "directory": DIRECTORY,
    "path": f"{DIRECTORY}/lib-{hashlib.sha256(ARCHIVE).hexdigest()[:16]}",
    "missing": MISSING,
    "kept": KEPT,
}


class HostPythonAction(ActionBase):
    """Runs `run(module)` of the file C(name) in module_utils, whose options are C(spec)."""

    name = ""
    spec = {}
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Validate the arguments and run the module on the host."""
        result = super().run(tmp, task_vars)
        validated = ArgumentSpecValidator(self.spec).validate(self.arguments(task_vars or {}))
        if validated.error_messages:
            return {**result, "failed": True, "msg": "; ".join(validated.error_messages)}
        request = {"name": self.name, "params": validated.validated_parameters}
        request |= {"check_mode": bool(self._task.check_mode), "diff": bool(self._task.diff)}
        python = self._python(task_vars or {})
        answer = self._execute(python, RUN, json.dumps(request).encode())
        if answer["rc"] == MISSING:
            answer = self._execute(python, INSTALL, ARCHIVE)
            if answer["rc"] == 0:
                answer = self._execute(python, RUN, json.dumps(request).encode())
        return {**result, **_parsed(answer)}

    def arguments(self, variables):
        """Give the module's arguments."""
        return self._task.args

    def _execute(self, python, script, data):
        words = [
            self._compute_environment_string(),
            shlex.quote(python),
            "-I",
            "-c",
            shlex.quote(script.format(**SCRIPT_VALUES)),
        ]
        return self._low_level_execute_command(" ".join(words), in_data=data)

    def _python(self, variables):
        python = variables.get("ansible_python_interpreter") or constants.config.get_config_value("INTERPRETER_PYTHON")
        return "/usr/bin/python3" if python.startswith("auto") else self._templar.template(python)


def _parsed(answer):
    """Return the module's result, or a failure with the output of the command."""
    try:
        return json.loads(answer["stdout"])
    except ValueError:
        text = (answer["stderr"] or answer["stdout"]).strip()
        return {"failed": True, "rc": answer["rc"], "msg": f"the module ended without a result: {text[-2000:]}"}
