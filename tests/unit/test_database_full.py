"""Errors of a database node without disk space: another node of the cluster may have some."""

import pytest
from pymysql import OperationalError
from sqlalchemy.exc import DBAPIError

from skywright.db.mariadb import is_transient


@pytest.mark.parametrize("number", [1021, 1114])
def test_a_full_disk_is_an_outage(number: int) -> None:
    assert is_transient(DBAPIError("INSERT", None, OperationalError(number, "full")))


def test_errors_of_a_statement_are_no_outage() -> None:
    assert not is_transient(DBAPIError("INSERT", None, OperationalError(1054, "Unknown column")))
