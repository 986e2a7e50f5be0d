"""The parts of the benchmark that need no cloud."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench import bare, report
from bench.client import ApiError
from bench.cloud import Cloud
from bench.measures import Context, events, idle, submissions
from bench.stats import Row, Target, number, ratios
from rich.console import Console

UUID = "0a0b0c0d-0000-4000-8000-000000000004"
TEMPLATE = bare.Template(
    host="host1",
    server_id=UUID,
    port_id="1a0b0c0d-0000-4000-8000-000000000002",
    mac="fa:16:3e:00:00:01",
    xml=f"<domain><uuid>{UUID}</uuid><mac address='fa:16:3e:00:00:01'/><target dev='tap1a0b0c0d-00'/></domain>",
    tag="1",
)
SERVER = {"ID": "new", "MAC": "fa:16:3e:ff:00:01", "TAP": "tapnew"}


@pytest.mark.parametrize(
    ("target", "values", "met"),
    [
        (Target(3), [2.0, 3.0, 9.0], True),
        (Target(3), [2.0, 3.1, 9.0], False),
        (Target(10, least=True), [9.0, 10.0, 11.0], True),
        (Target(10, least=True), [9.0, 9.9, 11.0], False),
        (None, [1.0], None),
    ],
)
def test_the_median_meets_the_target(target: Target | None, values: list[float], met: bool | None) -> None:
    assert Row("a", "s", values, target).met is met


def test_a_row_for_json() -> None:
    row = Row("a", "x", [4.0, 1.0, 2.0], Target(3), {"processes": 3})
    assert row.as_dict() == {
        "unit": "x",
        "n": 3,
        "median": 2.0,
        "min": 1.0,
        "max": 4.0,
        "processes": 3,
        "target": "≤ 3.00",
        "met": True,
    }


def test_a_row_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Row("a", "s", [])


def test_ratios_compare_values_of_the_same_round() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [])


def test_numbers_are_rounded() -> None:
    assert [number(value) for value in (1234.5, 12.34, 1.234, 0.01234)] == ["1234", "12.3", "1.23", "0.0123"]


def test_the_report_on_the_screen_and_on_disk(tmp_path: Path) -> None:
    rows = [Row("create", "s", [1.0, 2.0, 3.0], Target(3)), Row("list", "x", [12.0], Target(10))]
    console = Console(record=True, width=120)
    report.show(console, rows)
    lines = console.export_text().splitlines()
    assert any("create" in line and "2.00" in line and "met" in line for line in lines)
    assert any("list" in line and "12.0" in line and "missed" in line for line in lines)
    report.write(tmp_path / "new" / "bench.json", rows, seconds=1.5)
    written = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert written["seconds"] == 1.5
    assert written["machine"]["cores"] == os.cpu_count()
    assert written["results"]["create"]["median"] == 2.0


def test_shell_variables_are_quoted() -> None:
    text = bare.shell_variables({"SSH": "ssh -o 'A b'", "ID": "$(touch x); 'y'"})
    shown = subprocess.run(
        ["bash", "-c", text + 'printf "%s|%s" "$SSH" "$ID"'], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "ssh -o 'A b'|$(touch x); 'y'"


def test_the_bare_domain_differs_only_in_names_and_addresses() -> None:
    xml = bare.domain_like(TEMPLATE, SERVER)
    assert xml == "<domain><uuid>new</uuid><mac address='fa:16:3e:ff:00:01'/><target dev='tapnew'/></domain>"


def test_a_template_of_another_server_is_refused() -> None:
    other = bare.Template(**{**vars(TEMPLATE), "mac": "fa:16:3e:00:00:99"})
    with pytest.raises(ApiError, match="fa:16:3e:00:00:99 is not in the definition"):
        bare.domain_like(other, SERVER)


def test_processor_time_of_ended_processes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a run: a descendant that uses the processor and ends before the measurement."""
    samples = [{1: 5}, {1: 5, 2: 10}, {1: 6, 2: 60}, {1: 6}]
    clock, now = itertools.count(), dict[int, int]()

    def tree(root: int) -> list[int]:
        assert root == 1
        now.clear()
        now.update(samples.pop(0))
        return list(now)

    monkeypatch.setattr(idle, "tree", tree)
    monkeypatch.setattr(idle, "used", now.__getitem__)
    monkeypatch.setattr(idle, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _seconds: None))
    assert idle.cpu_seconds(1, len(samples)) == (1 + 60) / os.sysconf("SC_CLK_TCK")
    assert samples == []


def test_what_processes_use_is_read() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    limit = time.monotonic() + 20
    with subprocess.Popen([sys.executable, "-c", code]) as root:
        try:
            while len(processes := idle.tree(root.pid)) < 2 or idle.used(processes[1]) < 2:
                assert time.monotonic() < limit
            assert processes[0] == root.pid
            assert idle.memory(root.pid, "Rss") >= idle.memory(root.pid, "Pss") > 1e5
        finally:
            for pid in reversed(idle.tree(root.pid)):
                os.kill(pid, signal.SIGKILL)
    assert idle.used(root.pid) == 0


def test_an_unknown_measure_is_refused() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "nonsense"],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 2
    assert "nonsense" in asked.stderr


def no_cloud() -> Cloud:
    raise AssertionError("this measure needs no cloud")


def test_events_are_counted_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVENTS", 300)
    monkeypatch.setattr(events, "LOST_AFTER", 70)
    rows = list(events.measure(Context(no_cloud, tmp_path, 1)))
    counted = [row for row in rows if row.target]
    assert [row.met for row in counted] == [True] * 4
    assert [row.detail["seen"] for row in counted if "missing" in row.name] == [300, 300]
    assert list((tmp_path / "var").iterdir()) == []


def test_accepted_jobs_are_in_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "JOBS", 20)
    stops, deletes = submissions.measure(Context(no_cloud, tmp_path, 1))
    assert (len(stops.values), len(deletes.values)) == (3, 3)
    monkeypatch.setattr(submissions, "_jobs", lambda _cloud: 0)
    with pytest.raises(ApiError, match="20 requests were accepted, 0 jobs are in the database"):
        list(submissions.measure(Context(no_cloud, tmp_path, 1)))
