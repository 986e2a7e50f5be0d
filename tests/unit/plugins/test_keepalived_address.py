"""keepalived_address against a directory that keepalived would read."""

import json

import pytest
from ansible_collections.skywright.cloud.plugins.modules import keepalived_address

from .conftest import predicted

VIRTUAL = "10.0.0.9"


@pytest.fixture
def orders(tmp_path, monkeypatch, programs):
    """The directory; the host has the address unless it is in maintenance."""
    monkeypatch.setitem(keepalived_address.ARGUMENT_SPEC["directory"], "default", str(tmp_path))
    monkeypatch.setitem(keepalived_address.ARGUMENT_SPEC["seconds"], "default", 1)
    (tmp_path / VIRTUAL).write_text("0\n")

    def addresses(_argv):
        held = [VIRTUAL] if (tmp_path / VIRTUAL).read_text() == "0\n" else []
        return json.dumps([{"addr_info": [{"local": address} for address in ["10.0.0.11", *held]]}])

    programs["ip"] = addresses
    return tmp_path


def args(state, *names):
    return {"addresses": [{"name": name, "state": state} for name in names or (VIRTUAL,)]}


@pytest.mark.parametrize("state", ["maint", "ready"])
def test_a_second_run_changes_nothing(run_module, orders, state):
    (orders / VIRTUAL).write_text("1\n" if state == "ready" else "0\n")
    first = run_module(keepalived_address.main, args(state))
    assert (first["changed"], first["by_id"][VIRTUAL]["status"]) == (True, state)
    second = run_module(keepalived_address.main, args(state))
    assert (second["changed"], second["commands"]) == (False, [])


def test_check_mode_predicts_and_orders_nothing(run_module, orders):
    foretold = run_module(keepalived_address.main, args("maint"), check=True)
    assert (orders / VIRTUAL).read_text() == "0\n"
    assert predicted(foretold) == predicted(run_module(keepalived_address.main, args("maint")))


def test_an_address_that_stays_is_an_error(run_module, orders, programs):
    programs["ip"] = lambda argv: json.dumps([{"addr_info": [{"local": VIRTUAL}]}])
    answer = run_module(keepalived_address.main, args("maint"))
    assert answer["failed"]
    assert answer["by_id"][VIRTUAL]["error"] == "keepalived did not remove the address"


@pytest.mark.parametrize("name", ["10.0.0.8", "../10.0.0.9", "/etc/passwd", "", "."])
def test_one_bad_address_never_stops_the_others(run_module, orders, name):
    answer = run_module(keepalived_address.main, args("maint", name, VIRTUAL))
    assert answer["failed"]
    assert "no such address" in answer["by_id"][name]["error"]
    assert (orders / VIRTUAL).read_text() == "1\n"
