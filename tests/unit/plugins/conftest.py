"""Run a module in process, without a host."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.skywright.cloud.plugins.module_utils import command, locks  # noqa: E402


@pytest.fixture(autouse=True)
def _locks_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "DIRECTORY", str(tmp_path))


@pytest.fixture
def run_module():
    """Give a function that runs a module's main() and returns its answer."""

    def run(main, args, check=False, diff=True):
        options = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        out = io.StringIO()
        with patch_module_args({**args, **options}), redirect_stdout(out), pytest.raises(SystemExit):
            main()
        answer = json.loads(out.getvalue())
        answer["by_id"] = {result["id"]: result for result in answer.get("results", [])}
        return answer

    return run


@pytest.fixture
def programs(monkeypatch):
    """Give {name: function of argv that returns the output}; no other program can be run."""
    known = {}

    def execute(argv, timeout, stdin=""):
        assert isinstance(timeout, int) and timeout > 0
        if argv[0] not in known:
            raise AssertionError(f"nobody expected {argv}")
        return known[argv[0]](argv, stdin) if stdin else known[argv[0]](argv) or ""

    monkeypatch.setattr(command.Runner, "_run", staticmethod(execute))
    return known


def predicted(answer):
    """What check mode has to foretell: everything but the writes."""
    results = [dict(result) for result in answer["results"]]
    return answer["changed"], results, answer.get("diff")
