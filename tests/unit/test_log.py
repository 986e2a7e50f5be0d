"""Logs are JSON lines with the ids of their request, job and run."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from skywright.log import JsonFormatter, log_context

Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Written:
    """The formatted log records."""
    lines: list[str] = []
    caplog.handler.emit = lambda record: lines.append(JsonFormatter().format(record))  # type: ignore[method-assign]
    caplog.set_level(logging.INFO)
    return lambda: [json.loads(line) for line in lines]


def test_log_records_in_a_context_have_its_ids(written: Written) -> None:
    with log_context(request="req-1"):
        logging.getLogger("somebody.elses").info("hello %s", "there")
        with log_context(run="r", job="j"):
            logging.getLogger("skywright").warning("inner")
        logging.getLogger("skywright").info("its own", extra={"request": "req-2"})
    logging.getLogger("skywright").info("outside")
    first, inner, own, outside = written()
    assert (first["message"], first["request"], first["level"]) == ("hello there", "req-1", "info")
    assert (inner["request"], inner["run"], inner["job"]) == ("req-1", "r", "j")
    assert own["request"] == "req-2"
    assert "request" not in outside


def test_a_record_is_one_line_with_times_in_utc(written: Written) -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        logging.getLogger("skywright").exception("three\nfour")
    (line,) = written()
    assert line["message"] == "three\nfour"
    assert "ValueError: one\ntwo" in line["exception"]
    assert line["time"].endswith("Z")
