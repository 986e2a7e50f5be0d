"""Image v2, the API of Glance."""

import re

from skywright.http.service import Service
from skywright.services.image import (
    downloads,
    images,
    imports,
    members,
    metadef_routes,
    metadefs,
    replica_routes,
    schemas,
    uploads,
    versions,
)
from skywright.services.image.errors import refusal, render_error
from skywright.services.image.metadef_definitions import load_definitions
from skywright.services.image.policies import POLICIES

ABSENT = {
    "/v2/cache": "image cache to manage",
    "/v2/cached_images": "image cache to manage",
    "/v2/queued_images": "image cache to manage",
    "/v2/images/*/locations": "image locations",
    "/v2/stores": "further stores",
}

SERVICE = Service(
    name="glance",
    type="image",
    prefix="/image",
    port=9292,
    endpoint="",
    routers=[
        versions.router,
        images.router,
        uploads.router,
        downloads.router,
        replica_routes.router,
        imports.router,
        members.router,
        schemas.router,
        metadefs.router,
        metadef_routes.router,
    ],
    policies=POLICIES,
    render_error=render_error,
    refusal=refusal,
    absent=ABSENT,
    background=replica_routes.keeping,
    bootstrap=load_definitions,
    streamed=re.compile(r"/v2/images/[^/]+/(file|stage|replicas/[^/]+)"),
)
