"""The metadata definitions of a new cloud: Glance's defaults, with the values that this cloud offers."""

from importlib.resources import files

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.services.image.metadef_items import add_namespace
from skywright.services.image.tables import MetadefNamespace, MetadefResourceType

# Glance's own resource types.
RESOURCE_TYPES = (
    "OS::Glance::Image",
    "OS::Cinder::Volume",
    "OS::Nova::Flavor",
    "OS::Nova::Aggregate",
    "OS::Nova::Server",
)


def load_definitions(session: Session) -> None:
    """Insert them once in the life of a cloud: administrators may change and delete them."""
    if session.scalar(select(MetadefResourceType).where(MetadefResourceType.protected).limit(1)) is not None:
        return
    for name in RESOURCE_TYPES:
        session.merge(MetadefResourceType(name=name, protected=True))
    for file in sorted(files(__package__).joinpath("definitions").iterdir(), key=lambda file: file.name):
        body = orjson.loads(file.read_bytes())
        if session.get(MetadefNamespace, body["namespace"]) is None:
            add_namespace(session, body | {"visibility": "public", "protected": True}, owner=None)
