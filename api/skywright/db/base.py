"""The declarative base and the column types shared by every table."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import JSON, MetaData
from sqlalchemy.orm import DeclarativeBase, Session

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, list[str]: JSON}


def new_uuid() -> str:
    """Return a new UUID with dashes: the id of compute, network, image and job resources."""
    return str(uuid.uuid4())


def new_hex() -> str:
    """Return a new UUID without dashes: the id of identity resources."""
    return uuid.uuid4().hex


def parse_json(text: str) -> Any:
    """Parse the value of a JSON column.

    orjson is several times faster than json, but refuses lone surrogates, which stand for bytes that are not UTF-8 in
    the output of programs.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def utcnow() -> datetime:
    """Return the current time as naive UTC, as the database stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def isoformat(moment: datetime | None, *, micro: bool = False) -> str | None:
    """Return *moment* as `2026-11-20T10:00:00Z`, or in Keystone's format with microseconds if *micro*."""
    if moment is None:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def after_commit(session: Session, key: str, callback: Callable[[], None]) -> None:
    """Call *callback* once after *session*'s transaction is durable.

    Callbacks with the same *key* replace each other.
    """
    session.info.setdefault("after_commit", {})[key] = callback
