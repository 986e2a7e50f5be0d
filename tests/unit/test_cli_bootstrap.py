"""The first account of a cloud with several controllers."""

import pytest

from skywright.cli.cloud.accounts import bootstrap_administrator
from skywright.cli.failure import StepFailed
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
