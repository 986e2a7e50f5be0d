"""What the API promises holds on MariaDB as it does on SQLite: a selection of the contract's tests."""

import os
import subprocess
import sys
from pathlib import Path

from distributed.servers import MariaDb

CONTRACT = Path(__file__).parents[1] / "contract"
# Lists with filters and pages, addresses. Each test makes all tables, which takes MariaDB a while: the others are left
# to whoever changes how the database is used.
CHOSEN = ("compute_lists", "network_subnets")


def test_the_contract_holds(mariadb: MariaDb) -> None:
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
