"""The first account of a cloud with several controllers."""

import operator
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import make_url

from skywright.cli.cloud.accounts import bootstrap_administrator
from skywright.cli.failure import StepFailed
from skywright.services import bootstrap
from skywright.settings import Settings


def test_a_second_bootstrap_changes_only_a_new_password_or_address(tmp_path):
    settings = Settings(state_dir=tmp_path)
    assert bootstrap_administrator(settings, "secret")
    assert not bootstrap_administrator(settings, "secret")
    assert bootstrap_administrator(settings, "another")
    assert bootstrap_administrator(Settings(state_dir=tmp_path, public_url="https://10.0.0.9:8000"), "another")


def test_an_empty_password_is_refused(tmp_path):
    with pytest.raises(StepFailed):
        bootstrap_administrator(Settings(state_dir=tmp_path), "")


@pytest.mark.parametrize("step", ["registry.services", "hash_password", "check_password"])
def test_other_writers_do_not_wait_for_slow_steps_of_a_bootstrap(tmp_path, monkeypatch, step):
    """MariaDB would end the transaction of a slow step: a writer that sends no statement for three seconds is lost."""
    settings = Settings(state_dir=tmp_path)
    bootstrap_administrator(settings, "secret")
    path = make_url(settings.database_url).database
    real = operator.attrgetter(step)(bootstrap)
    called = []

    def slow(*arguments):
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
        called.append(step)
        return real(*arguments)

    monkeypatch.setattr(f"skywright.services.bootstrap.{step}", slow)
    assert bootstrap_administrator(settings, "another")
    assert called
