"""Records of running servers that measurements write directly into the database."""

from typing import Any

from sqlalchemy import null

from bench.client import Client
from bench.cloud import FLAVOR
from skywright.db import new_uuid
from skywright.services.compute.tables import Server


def running_server(client: Client, name: str, host: str) -> Server:
    """A server of the client's user and project on *host*."""
    flavor: dict[str, Any] = {"id": "1", "name": "bench", "ephemeral": 0, "swap": 0, "extra_specs": {}, **FLAVOR}
    return Server(
        id=new_uuid(),
        name=name,
        project_id=client.project_id,
        user_id=client.user_id,
        flavor=flavor,
        image_id=new_uuid(),
        vcpus=FLAVOR["vcpus"],
        ram_mib=FLAVOR["ram"],
        disk_gib=FLAVOR["disk"],
        host=host,
        status="ACTIVE",
        task_state=null(),
        power_state=1,
    )
