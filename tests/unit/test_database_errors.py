"""Errors of a database node that has no disk space, or is not in the cluster: another node may serve."""

import pytest
from pymysql import OperationalError
from sqlalchemy.exc import DBAPIError

from skywright.db.mariadb import is_transient, is_uncertain


@pytest.mark.parametrize("number", [1021, 1114])
def test_a_full_disk_is_an_outage(number: int) -> None:
    assert is_transient(DBAPIError("INSERT", None, OperationalError(number, "full")))


def test_a_commit_on_a_node_without_the_majority_is_an_uncertain_outage() -> None:
    """As MariaDB 10.11 with Galera sent it."""
    status = "Error while appending streaming replication fragment(provider status: Not connected to Primary Component)"
    error = DBAPIError("", None, OperationalError(1180, status))
    assert is_transient(error)
    assert is_uncertain(error)


def test_errors_of_a_statement_are_no_outage() -> None:
    assert not is_transient(DBAPIError("INSERT", None, OperationalError(1054, "Unknown column")))
