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


@pytest.fixture(autouse=True)
def _locks_of_this_test(tmp_path, monkeypatch):
    from ansible_collections.skywright.cloud.plugins.module_utils import locks  # noqa: PLC0415

    monkeypatch.setattr(locks, "DIRECTORY", str(tmp_path))


@pytest.fixture
def run_module():
    """Give a function that runs a module's main() and returns its answer."""

    def run(main, args, check=False, diff=True):
        options = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        out = io.StringIO()
        with patch_module_args({**args, **options}), redirect_stdout(out), pytest.raises(SystemExit):
            main()
        return json.loads(out.getvalue())

    return run


def by_id(answer):
    return {result["id"]: result for result in answer["results"]}
