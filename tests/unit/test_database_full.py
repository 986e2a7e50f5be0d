"""A database without room is one to leave for another node of its cluster, which may have some."""

import pytest
from pymysql import OperationalError
from sqlalchemy.exc import DBAPIError

from skywright.db.mariadb import is_transient


@pytest.mark.parametrize("number", [1021, 1114])
def test_a_full_disk_is_an_outage(number: int) -> None:
    assert is_transient(DBAPIError("INSERT", None, OperationalError(number, "full")))


def test_what_is_wrong_with_a_statement_is_none() -> None:
    assert not is_transient(DBAPIError("INSERT", None, OperationalError(1054, "Unknown column")))
