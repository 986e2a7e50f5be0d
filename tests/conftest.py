"""What holds in all tests."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import String, event, inspect
from sqlalchemy.orm import Session

from skywright.http import Context
from skywright.services import registry

registry.load_tables()


@event.listens_for(Session, "before_flush")
def strings_fit(session: Session, _context: Any, _instances: Any) -> None:
    """SQLite keeps strings of any length; on MariaDB a row whose column is too short is refused."""
    for row in (*session.new, *session.dirty):
        for column in inspect(row).mapper.column_attrs:
            kind, value = column.columns[0].type, getattr(row, column.key)
            if isinstance(kind, String) and kind.length and isinstance(value, str):
                where = f"{type(row).__name__}.{column.key}"
                assert len(value) <= kind.length, f"{where} has room for {kind.length} characters: {value!r}"


@pytest.fixture(scope="session", autouse=True)
def commits_wait_for_no_disk() -> Iterator[None]:
    """No test outlives a power cut. `test_durable` shows that commits wait for the disk otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _descriptor: None)
        yield


# A caller who may not see what a request is about, or what a new resource is part of, is told that it is not there.
KINDS = ("network", "subnet", "port", "subnetpool", "address_scope", "rbac_policy", "network_segment_range")
NETWORKING = {f"get_{kind}" for kind in (*KINDS, "router", "floatingip")}
NETWORKING.add("get_policy")  # of QoS
SEEING = {*NETWORKING, "get_image", "get_metadef_namespace"}


@pytest.fixture(scope="session", autouse=True)
def rules_are_the_routes() -> Iterator[None]:
    """A route names all rules of its service that it asks for: `skywright policy list` tells operators so."""
    allows = Context.allows

    def checked(context: Context, rule: str, target: Any = None) -> bool:
        service = context.request.app.state.service
        named = rule in context.rules or rule in SEEING or rule not in service.policies
        assert named, f"{context.request.url.path} does not name {rule}"
        return allows(context, rule, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "allows", checked)
        yield
