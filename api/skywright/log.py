"""Logs as JSON lines: one object a line, with the ids of request, job and run where there are any."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson

_bound: ContextVar[dict[str, Any]] = ContextVar("skywright_log", default={})  # noqa: B039 - never changed in place


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Within, every line of log has *fields*: of whatever logger, in threads that this one waits for too."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


FIELDS = ("request", "job", "run", "status", "seconds", "client")


class JsonFormatter(logging.Formatter):
    """`{"time": ..., "level": ..., "logger": ..., "message": ..., "request": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_bound.get(),
            **{name: value for name in FIELDS if (value := getattr(record, name, None)) is not None},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(level: int = logging.INFO) -> None:
    """Log to standard error."""
    # What no line shows need not be found out for each: see "Optimization" in the logging HOWTO.
    for found in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        setattr(logging, found, None)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every URL, signatures included
