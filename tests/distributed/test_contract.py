"""A selection of the contract tests, with MariaDB instead of SQLite."""

import os
import subprocess
import sys
from pathlib import Path

from distributed.servers import MariaDb

CONTRACT = Path(__file__).parents[1] / "contract"
# Lists with filters and pages, addresses. Creating all tables for each test takes MariaDB a while: run the other tests
# by hand after a change of how the database is used.
CHOSEN = ("compute_lists", "network_subnets")


def test_contract_tests_pass_on_mariadb(mariadb: MariaDb) -> None:
    files = [str(CONTRACT / f"test_{name}.py") for name in CHOSEN]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *files],
        env=os.environ | {"SKYWRIGHT_TEST_MARIADB": mariadb.server_url},
        cwd=CONTRACT.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:]
