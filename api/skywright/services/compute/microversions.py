"""Compute's microversions; their shapes follow
https://docs.openstack.org/nova/latest/reference/api-microversion-history.html
"""

import re

from skywright.http.microversions import Microversions
from skywright.services.compute.errors import render_error

# Clients of old have the project's id in the path.
PROJECT_PATH = re.compile(r"^(/v2(?:\.1)?)/[0-9a-f]{32}(?=/)")


def route(path: str) -> tuple[str, int | None]:
    """`/v2` is `/v2.1` without microversions."""
    path = PROJECT_PATH.sub(r"\1", path)
    return (f"/v2.1{path[3:]}", MICROVERSIONS.minimum) if path.startswith("/v2/") else (path, None)


MICROVERSIONS = Microversions(
    service="compute",
    major=2,
    minimum=1,
    maximum=96,
    header="X-OpenStack-Nova-API-Version",
    render_error=render_error,
    route=route,
)
