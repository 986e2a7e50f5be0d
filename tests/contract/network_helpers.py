"""Helpers of the network tests."""

from typing import Any

from openstack.connection import Connection


def request(connection: Connection, method: str, path: str, body: object = None, **options: Any) -> Any:
    """A plain request with the connection's token; no exception for any status."""
    return connection.network.request(path, method, json=body, raise_exc=False, **options)


def error_type(answer: Any) -> str:
    return str(answer.json()["NeutronError"]["type"])
