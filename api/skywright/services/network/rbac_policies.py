"""RBAC policies: which projects may use an object of another project."""

from collections.abc import Sequence
from typing import Any

from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.services.network import ipam, listing, networks, schemas
from skywright.services.network.address_scopes import SCOPES, check_sharing
from skywright.services.network.addressing import invalid
from skywright.services.network.external import reason_to_keep, set_external
from skywright.services.network.guard import Guard
from skywright.services.network.networks import NETWORKS
from skywright.services.network.qos_policies import QOS_POLICIES, RBAC_TYPE
from skywright.services.network.resource import Resource
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import EVERYONE, EXTERNAL, SHARED, share, targets, unshare, users_without
from skywright.services.network.standard import touch
from skywright.services.network.subnetpools import POOLS
from skywright.services.network.tables import Network, RbacPolicy, Shareable, SubnetPool
from skywright.services.network.targets import owned

router = Router()
TYPES: dict[str, ShareableResource[Any]] = {each.name: each for each in (NETWORKS, POOLS, SCOPES)}
TYPES[RBAC_TYPE] = QOS_POLICIES
ACTIONS = {NETWORKS.name: (SHARED, EXTERNAL)}


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
            "action": RbacPolicy.action,
        },
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
                "action": row.action,
            }
            for row in rows
        ]

    def create(self, context: Context, item: schemas.RbacPolicyCreate, project_id: str) -> RbacPolicy:
        self.guard.authorize(context, owned(project_id), item)
        kind = item.object_type.strip().lower()
        if kind not in TYPES:
            raise invalid(f"'{item.object_type}' is not a valid RBAC object type.")
        actions = ACTIONS.get(kind, (SHARED,))
        if item.action not in actions:
            text = f"Invalid action '{item.action}' for object type '{kind}'. Valid actions: {actions}"
            raise BadRequest(text, kind="InvalidActionForType")
        shared = _own(context, kind, item.object_id)
        _check_target(context, shared, item.target_tenant, item.action)
        ipam.check_quota(context.db, project_id, self.name)
        if isinstance(shared, Network) and item.action == EXTERNAL:
            shared.external = True
        _revise(shared)
        return share(shared, kind, project_id, item.target_tenant, item.action)

    def update(self, context: Context, row: RbacPolicy, item: schemas.RbacPolicyUpdate) -> None:
        if item.target_tenant in (None, row.target_project):
            return
        shared = _own(context, row.object_type, row.object_id)
        _check_target(context, shared, item.target_tenant, row.action)
        if item.target_tenant != EVERYONE:
            _check_unused(context, shared, row, item.target_tenant)
        row.target_project = item.target_tenant
        _revise(shared)

    def delete(self, context: Context, row: RbacPolicy) -> None:
        shared = context.db.get_one(TYPES[row.object_type].model, row.object_id)
        _check_unused(context, shared, row)
        unshare(shared, row.target_project, row.action)
        if isinstance(shared, Network) and not targets(shared, EXTERNAL):
            set_external(context.db, shared, external=False)
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


def _check_target(context: Context, shared: Shareable, target: str, action: str) -> None:
    if target != EVERYONE:
        context.check_project(target)
    if target in targets(shared, action):
        raise Conflict("An RBAC policy already exists with those values.", kind="DuplicateRbacPolicy")
    if isinstance(shared, SubnetPool):
        check_sharing(context.db, shared, target)


def _check_unused(context: Context, shared: Shareable, policy: RbacPolicy, target: str | None = None) -> None:
    """Refuse to remove *policy*, or to give it another *target*, while projects use the object that could not
    otherwise.
    """
    details = _reason_to_keep(context, shared, policy, target)
    if details is not None:
        text = f"RBAC policy on object {shared.id} cannot be removed because other objects depend on it.\nDetails: "
        raise Conflict(f"{text}{details}", kind="RbacPolicyInUse")


def _reason_to_keep(context: Context, shared: Shareable, policy: RbacPolicy, target: str | None) -> str | None:
    if isinstance(shared, Network) and policy.action == EXTERNAL:
        return reason_to_keep(context.db, shared, policy.target_project, target)
    if not users_without(context.db, shared, policy.target_project):
        return None
    return networks.in_use(shared.id) if isinstance(shared, Network) else f"project_id={policy.target_project}"


def _revise(shared: Shareable) -> None:
    """Record that the policies of an object change: as in Neutron, that is a new revision of a network."""
    if isinstance(shared, Network):
        touch(shared)


POLICIES = RbacPolicies()
POLICIES.register(router)
