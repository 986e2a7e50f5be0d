"""Logs as JSON lines, with the ids of the request, job and run."""

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
def log_context(**fields: Any) -> Iterator[None]:
    """Add *fields* to every log line within the block, also in threads that the block waits for."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


FIELDS = ("request", "job", "run", "status", "seconds", "client")


class JsonFormatter(logging.Formatter):
    """Formats a record as `{"time": ..., "level": ..., "logger": ..., "message": ..., "request": ...}`."""

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
    """Send all logs to standard error."""
    # Do not collect data that is not logged: see "Optimization" in the logging HOWTO.
    for found in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        setattr(logging, found, None)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL, with signatures
