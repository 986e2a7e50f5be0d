"""The fields of a server that show one column, as data: name, column, and the microversions in which they are shown."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import JSON, Boolean, DateTime, Integer, String, Text, type_coerce
from sqlalchemy.sql import ColumnElement

from skywright.services.compute.tables import Server

Show = Callable[[Any], Any]


class Field(NamedTuple):
    """A field: shown from one microversion (None: never) to all users, and from another one to administrators."""

    name: str
    column: str
    show: Show | None = None  # converts the value
    since: int | None = 1
    since_admin: int | None = None
    brief: bool = False  # whether the short form that PUT returns before 2.75 has it


class Constant(NamedTuple):
    """A field with the same value in all servers."""

    name: str
    value: Any
    since: int | None = 1
    since_admin: int | None = None
    brief: bool = False
    listed: bool = True


class Shape(NamedTuple):
    """The fields and columns of one form of a view."""

    columns: Sequence[ColumnElement[Any]]  # the columns of `names`, then those of BEHIND
    names: Sequence[str]
    shows: Sequence[tuple[str, Show]]
    constants: dict[str, Any]


def moment(value: Any) -> str | None:
    """Return a stored time (text in SQLite, else a datetime) as `2026-11-20T10:00:00Z`."""
    if isinstance(value, str):
        return f"{value[:10]}T{value[11:19]}Z"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else None


def usage_moment(value: Any) -> str | None:
    """Return a time with microseconds and without a zone, as Nova shows these two."""
    if isinstance(value, str):
        return value.replace(" ", "T")
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value else None


def _truth(value: Any) -> str:
    return "True" if value else ""


def _locked(by: str | None) -> bool:
    return by is not None


PREFIX = "OS-EXT-SRV-ATTR:"
ROOT_DEVICE = "/dev/vda"
FIELDS = (
    Field("id", "id", brief=True),
    Field("name", "name", brief=True),
    Field("status", "status", brief=True),
    Field("tenant_id", "project_id", brief=True),
    Field("user_id", "user_id", brief=True),
    Field("metadata", "properties", orjson.Fragment, brief=True),
    Field("image", "image_id", brief=True),
    Field("flavor", "flavor", brief=True),
    Field("created", "created_at", moment, brief=True),
    Field("updated", "updated_at", moment, brief=True),
    Field("accessIPv4", "access_ipv4", brief=True),
    Field("accessIPv6", "access_ipv6", brief=True),
    Field("OS-DCF:diskConfig", "disk_config", brief=True),
    Field("locked", "locked_by", _locked, since=9, brief=True),
    Field("description", "description", since=19, brief=True),
    Field("tags", "tags", orjson.Fragment, since=26, brief=True),
    Field("locked_reason", "locked_reason", since=73, brief=True),
    Field("pinned_availability_zone", "availability_zone", since=96, brief=True),
    Field("config_drive", "config_drive", _truth),
    Field("key_name", "key_name"),
    Field("OS-SRV-USG:launched_at", "launched_at", usage_moment),
    Field("OS-SRV-USG:terminated_at", "deleted_at", usage_moment),
    Field("OS-EXT-STS:power_state", "power_state"),
    Field(f"{PREFIX}hostname", "hostname", since=90, since_admin=3),
    Field(f"{PREFIX}reservation_id", "reservation_id", since=None, since_admin=3),
    Field(f"{PREFIX}launch_index", "launch_index", since=None, since_admin=3),
    Field(f"{PREFIX}user_data", "user_data", since=None, since_admin=3),
)
CONSTANTS = (
    Constant("trusted_image_certificates", None, since=63, brief=True),
    Constant("server_groups", [], since=71, brief=True, listed=False),
    Constant("os-extended-volumes:volumes_attached", []),
    Constant(f"{PREFIX}kernel_id", "", since=None, since_admin=3),
    Constant(f"{PREFIX}ramdisk_id", "", since=None, since_admin=3),
    Constant(f"{PREFIX}root_device_name", ROOT_DEVICE, since=None, since_admin=3),
)
# Columns that other fields are computed from.
BEHIND = ("host", "availability_zone", "task_state", "fault")


@cache
def shape_of(version: int, *, admin: bool, full: bool, listing: bool) -> Shape:
    """Return the shape of views at microversion *version*; *full* false: the short form."""

    def seen(field: Field | Constant) -> bool:
        first = [since for since in (field.since, field.since_admin if admin else None) if since is not None]
        return (full or field.brief) and any(version >= since for since in first)

    fields = [field for field in FIELDS if seen(field)]
    return Shape(
        columns=[_raw(Server.__table__.columns[name]) for name in (*(field.column for field in fields), *BEHIND)],
        names=[field.name for field in fields],
        shows=[(field.name, field.show) for field in fields if field.show],
        constants={field.name: field.value for field in CONSTANTS if seen(field) and (field.listed or not listing)},
    )


def _raw(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the column without conversion: JSON as text, times and booleans as stored. Converting them takes most of
    the time.
    """
    for kind, stored in ((JSON, Text), (DateTime, String), (Boolean, Integer)):
        if isinstance(column.type, kind):
            column = type_coerce(column, stored).label(column.key)
    return column
