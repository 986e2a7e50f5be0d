"""The problems in the status of an overcloud's services."""

import copy
from typing import Any

import pytest

from skywright.services.operations.overcloud.health import holders, problems
from skywright.services.operations.overcloud.plan import read

PLAN = read(
    {
        "name": "ha",
        "virtual_address": "10.0.0.9/24",
        "interface": "eth0",
        "key": "/key",
        "roles": {"controllers": ["c1", "c2", "c3"]},
        "networks": {"management": "10.0.0.0/24"},
        "hosts": {f"c{number}": {"address": f"10.0.0.1{number}"} for number in (1, 2, 3)},
    }
)
WELL: dict[str, Any] = {
    "units": {"mariadb.service": {"state": "active", "detail": "running"}},
    "certificates": {"/host.pem": 300},
    "virtual_address": False,
    "galera": {"state": "Synced", "cluster": "Primary", "size": 3, "ready": True},
    "rabbitmq": {"running": ["a", "b", "c"], "known": ["a", "b", "c"], "alarms": [], "partitions": []},
    "haproxy": {"servers": [{"backend": "api", "server": "c1", "status": "UP"}]},
    "api": {"ready": True, "detail": "200"},
}


def reports(**changes: Any) -> dict[str, Any]:
    """Return reports of a healthy cloud, with changes on c2."""
    found = {name: copy.deepcopy(WELL) for name in PLAN.hosts}
    found["c1"]["virtual_address"] = True
    found["c2"] |= changes
    return found


def test_a_healthy_cloud_has_no_problems() -> None:
    assert problems(PLAN, reports()) == []
    assert holders(reports()) == ["c1"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"units": {"x.service": {"state": "failed", "detail": "failed"}}}, "c2: x.service is failed (failed)"),
        ({"units": {"x.service": {"state": "missing", "detail": "dead"}}}, "c2: x.service is missing (dead)"),
        ({"units": {"error": "no systemd"}}, "c2: units: no systemd"),
        ({"certificates": {"/h.pem": 13}}, "c2: certificate /h.pem expires in 13 days"),
        ({"certificates": {"/h.pem": -1}}, "c2: certificate /h.pem has expired"),
        ({"certificates": {"/h.pem": None}}, "c2: there is no certificate /h.pem"),
        ({"api": {"ready": False, "detail": "503"}}, "c2: the API is not ready: 503"),
        ({"api": {"error": "timed out"}}, "c2: api: timed out"),
        ({"galera": {**WELL["galera"], "ready": False}}, "c2: the database accepts no writes: it is Synced"),
        ({"galera": {**WELL["galera"], "cluster": "non-Primary"}}, "c2: the database accepts no writes"),
        ({"galera": {"error": "refused"}}, "c2: galera: refused"),
        ({"rabbitmq": {**WELL["rabbitmq"], "running": ["a"]}}, "c2: the message broker's cluster has 1 of 3 nodes"),
        ({"rabbitmq": {**WELL["rabbitmq"], "alarms": ["memory"]}}, "c2: the message broker warns: memory"),
        (
            {"haproxy": {"servers": [{"backend": "api", "server": "c3", "status": "DOWN"}]}},
            "c2: HAProxy does not use c3 of api: DOWN",
        ),
        ({"virtual_address": True}, "c1, c2 have the virtual address"),
    ],
)
def test_problems_are_named_with_their_host(changes: dict[str, Any], found: str) -> None:
    (problem,) = problems(PLAN, reports(**changes))
    assert problem.startswith(found)


def test_the_remaining_nodes_report_a_lost_node() -> None:
    seen = reports()
    seen["c3"] = None
    for name in ("c1", "c2"):
        seen[name]["galera"]["size"] = 2
    assert problems(PLAN, seen) == [
        "c1, c2: the database's cluster has 2 of 3 nodes",
        "c3: no answer",
    ]


def test_a_virtual_address_without_a_holder_is_a_problem_but_drained_servers_are_not() -> None:
    seen = reports(haproxy={"servers": [{"backend": "api", "server": "c3", "status": "MAINT"}]})
    seen["c1"]["virtual_address"] = False
    assert problems(PLAN, seen) == ["No controller has the virtual address"]


def test_no_host_is_reachable() -> None:
    assert problems(PLAN, dict.fromkeys(PLAN.hosts)) == ["c1, c2, c3: no answer"]
