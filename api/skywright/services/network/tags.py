"""Tags of resources."""

from typing import Any

from sqlalchemy import delete

from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.policy import on_target
from skywright.services.network import schemas
from skywright.services.network.floating_ips import FLOATING_IPS
from skywright.services.network.networks import NETWORKS
from skywright.services.network.ports import PORTS
from skywright.services.network.qos_policies import QOS_POLICIES
from skywright.services.network.routers import ROUTERS
from skywright.services.network.segment_ranges import RANGES
from skywright.services.network.standard import StandardResource, tags_of, touch
from skywright.services.network.subnetpools import POOLS
from skywright.services.network.subnets import SUBNETS
from skywright.services.network.tables import NetworkTag

router = Router()
RESOURCES: tuple[StandardResource[Any], ...] = (
    NETWORKS,
    SUBNETS,
    PORTS,
    POOLS,
    RANGES,
    ROUTERS,
    FLOATING_IPS,
    QOS_POLICIES,
)


def register(resource: StandardResource[Any]) -> None:
    """Add the routes of the tags of one type."""
    kind, path = resource.name, f"{resource.path}/{{identifier}}/tags"

    @router.operation("GET", path, policy=on_target(f"get_{kind}:tags"))
    def list_tags(context: Context, identifier: str) -> dict[str, Any]:
        row = resource.permitted(context, identifier)
        return {"tags": tags_of(context.db, [row.id]).get(row.id, [])}

    @router.operation("PUT", path, policy=on_target(f"update_{kind}:tags"))
    def replace_tags(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        row = resource.changeable(context, identifier)
        tags = sorted(schemas.parse(schemas.Tags, body).tags)
        context.db.execute(delete(NetworkTag).where(NetworkTag.resource_id == row.id))
        context.db.add_all(NetworkTag(resource_id=row.id, tag=tag) for tag in tags)
        touch(row)
        return {"tags": tags}

    @router.operation("POST", path, policy=on_target(f"create_{kind}:tags"), status=201)
    def add_tags(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"tags": _add(context, resource.changeable(context, identifier), body)}

    @router.operation("DELETE", path, policy=on_target(f"delete_{kind}:tags"), status=204)
    def remove_tags(context: Context, identifier: str) -> None:
        row = resource.changeable(context, identifier)
        context.db.execute(delete(NetworkTag).where(NetworkTag.resource_id == row.id))
        touch(row)

    @router.operation("GET", path + "/{tag}", policy=on_target(f"get_{kind}:tags"), status=204)
    def show_tag(context: Context, identifier: str, tag: str) -> None:
        _tag(context, resource.permitted(context, identifier).id, tag)

    @router.operation("PUT", path + "/{tag}", policy=on_target(f"update_{kind}:tags"), status=201)
    def add_tag(context: Context, identifier: str, tag: str) -> None:
        _add(context, resource.changeable(context, identifier), {"tags": [tag]})

    @router.operation("DELETE", path + "/{tag}", policy=on_target(f"delete_{kind}:tags"), status=204)
    def remove_tag(context: Context, identifier: str, tag: str) -> None:
        row = resource.changeable(context, identifier)
        context.db.delete(_tag(context, row.id, tag))
        touch(row)


def _add(context: Context, row: Any, body: dict[str, Any]) -> list[str]:
    """Add the tags in *body* to the tags of *row*; return the tags in *body*."""
    tags = schemas.parse(schemas.Tags, body).tags
    if len({*tags_of(context.db, [row.id]).get(row.id, []), *tags}) > schemas.MAX_TAGS:
        raise BadRequest("Too many tags.", kind="InvalidInput")
    for tag in tags:
        context.db.merge(NetworkTag(resource_id=row.id, tag=tag))
    touch(row)
    return tags


def _tag(context: Context, identifier: str, tag: str) -> NetworkTag:
    row = context.db.get(NetworkTag, (identifier, tag))
    if row is None:
        raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")
    return row


for each in RESOURCES:
    register(each)
