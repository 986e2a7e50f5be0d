"""RBAC policies: which projects may use an object of another project."""

from collections.abc import Sequence
from typing import Any

from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.services.network import ipam, listing, networks, schemas
from skywright.services.network.address_scopes import SCOPES, check_sharing
from skywright.services.network.addressing import invalid
from skywright.services.network.guard import Guard
from skywright.services.network.networks import NETWORKS
from skywright.services.network.resource import Resource
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import EVERYONE, share, targets, unshare, users_without
from skywright.services.network.standard import touch
from skywright.services.network.subnetpools import POOLS
from skywright.services.network.tables import Network, RbacPolicy, Shareable, SubnetPool
from skywright.services.network.targets import owned

router = Router()
ACTION = "access_as_shared"
TYPES: dict[str, ShareableResource[Any]] = {each.name: each for each in (NETWORKS, POOLS, SCOPES)}


class RbacPolicies(Resource[RbacPolicy]):
    name, collection, label, model = "rbac_policy", "rbac_policies", "RbacPolicy", RbacPolicy
    create_schema, update_schema = schemas.RbacPolicyCreate, schemas.RbacPolicyUpdate
    filters = listing.Listing(
        RbacPolicy,
        "RbacPolicy",
        columns={
            "id": RbacPolicy.id,
            "project_id": RbacPolicy.project_id,
            "object_type": RbacPolicy.object_type,
            "object_id": RbacPolicy.object_id,
            "target_tenant": RbacPolicy.target_project,
        },
        constants={"action": ACTION},
    )

    guard = Guard("rbac_policy", {"target_tenant": None})

    def missing(self, identifier: str) -> NotFound:
        text = f"RBAC policy of type unknown with ID {identifier} not found"
        return NotFound(text, kind="RbacPolicyNotFound")

    def target(self, context: Context, row: RbacPolicy) -> dict[str, Any]:
        return owned(row.project_id) | {"target_tenant": row.target_project}

    def views(self, context: Context, rows: Sequence[RbacPolicy]) -> list[dict[str, Any]]:
        return [
            {
                "object_type": row.object_type,
                "object_id": row.object_id,
                "target_tenant": row.target_project,
                "action": ACTION,
            }
            for row in rows
        ]

    def create(self, context: Context, item: schemas.RbacPolicyCreate, project_id: str) -> RbacPolicy:
        self.guard.authorize(context, owned(project_id), item)
        kind = item.object_type.strip().lower()
        if kind not in TYPES:
            raise invalid(f"'{item.object_type}' is not a valid RBAC object type.")
        if item.action != ACTION:
            text = f"Invalid action '{item.action}' for object type '{kind}'. Valid actions: ('{ACTION}',)"
            raise BadRequest(text, kind="InvalidActionForType")
        shared = _own(context, kind, item.object_id)
        _check_target(context, shared, item.target_tenant)
        ipam.check_quota(context.db, project_id, self.name)
        _revise(shared)
        return share(shared, kind, project_id, item.target_tenant)

    def update(self, context: Context, row: RbacPolicy, item: schemas.RbacPolicyUpdate) -> None:
        if item.target_tenant in (None, row.target_project):
            return
        shared = _own(context, row.object_type, row.object_id)
        _check_target(context, shared, item.target_tenant)
        if item.target_tenant != EVERYONE:
            _check_unused(context, shared, row.target_project)
        row.target_project = item.target_tenant
        _revise(shared)

    def delete(self, context: Context, row: RbacPolicy) -> None:
        shared = context.db.get_one(TYPES[row.object_type].model, row.object_id)
        _check_unused(context, shared, row.target_project)
        unshare(shared, row.target_project)
        _revise(shared)


def _own(context: Context, kind: str, identifier: str) -> Shareable:
    """Return the object of type *kind* if the caller may share it."""
    try:
        row: Shareable = TYPES[kind].find(context, identifier)
    except NotFound as error:
        raise invalid(error.message) from None
    if row.project_id != context.caller.project_id and not context.is_admin:
        raise invalid("Only admins can manipulate policies on objects they do not own.")
    return row


def _check_target(context: Context, shared: Shareable, target: str) -> None:
    if target != EVERYONE:
        context.check_project(target)
    if target in targets(shared):
        raise Conflict("An RBAC policy already exists with those values.", kind="DuplicateRbacPolicy")
    if isinstance(shared, SubnetPool):
        check_sharing(context.db, shared, target)


def _check_unused(context: Context, shared: Shareable, target: str) -> None:
    """Refuse to stop sharing with *target* while projects use the object that could not otherwise."""
    if not users_without(context.db, shared, target):
        return
    details = networks.in_use(shared.id) if isinstance(shared, Network) else f"project_id={target}"
    text = f"RBAC policy on object {shared.id} cannot be removed because other objects depend on it.\nDetails: "
    raise Conflict(f"{text}{details}", kind="RbacPolicyInUse")


def _revise(shared: Shareable) -> None:
    """Record that the policies of an object change: as in Neutron, that is a new revision of a network."""
    if isinstance(shared, Network):
        touch(shared)


POLICIES = RbacPolicies()
POLICIES.register(router)
