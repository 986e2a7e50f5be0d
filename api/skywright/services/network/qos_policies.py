"""QoS policies."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from skywright.http import Conflict, Context, NotFound, Router
from skywright.http.paging import Clause
from skywright.services.network import listing, qos_use
from skywright.services.network.guard import Guard
from skywright.services.network.qos_bodies import QosPolicyCreate, QosPolicyUpdate
from skywright.services.network.qos_rule_types import TYPES
from skywright.services.network.qos_tables import QosPolicy, QosRule
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import EVERYONE, share, targets, unshare, users_without
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, Port
from skywright.services.network.targets import owned

router = Router()
RBAC_TYPE = "qos_policy"


def _by_default(context: Context, values: Sequence[str]) -> Clause:
    default = QosPolicy.default_of.is_not(None)
    return or_(*(default if listing.boolean(value) else ~default for value in values))


class QosPolicies(ShareableResource[QosPolicy], StandardResource[QosPolicy]):
    name, collection, label, model = "policy", "policies", "QosPolicy", QosPolicy
    create_schema, update_schema = QosPolicyCreate, QosPolicyUpdate
    filters = listing.Listing(
        QosPolicy,
        "QosPolicy",
        tags=NetworkTag,
        columns=standard_columns(QosPolicy),
        specials={"shared": listing.by_shared(QosPolicy.id), "is_default": _by_default},
    )

    guard = Guard("policy")

    @property
    def path(self) -> str:
        return "/v2.0/qos/policies"

    def missing(self, identifier: str) -> NotFound:
        return qos_use.not_found(identifier)

    def query(self, context: Context) -> Any:
        return super().query(context).options(selectinload(QosPolicy.rules))

    def views(self, context: Context, rows: Sequence[QosPolicy]) -> list[dict[str, Any]]:
        return [
            {"is_default": row.default_of is not None, "rules": [_rule_view(rule) for rule in row.rules]}
            for row in rows
        ]

    def create(self, context: Context, item: QosPolicyCreate, project_id: str) -> QosPolicy:
        self.guard.authorize(context, owned(project_id) | {"shared": False}, item)
        policy = QosPolicy(project_id=project_id, **item.given("name", "description"))
        context.db.add(policy)
        _set_default(context, policy, default=item.is_default)
        if item.shared:
            share(policy, RBAC_TYPE, project_id)
        return policy

    def update(self, context: Context, row: QosPolicy, item: QosPolicyUpdate) -> None:
        for name, value in item.given("name", "description").items():
            setattr(row, name, value)
        if "is_default" in item.model_fields_set:
            _set_default(context, row, default=item.is_default)
        if "shared" in item.model_fields_set:
            _set_shared(context, row, shared=item.shared)

    def delete(self, context: Context, row: QosPolicy) -> None:
        for kind, model in (("port", Port), ("network", Network)):
            query = select(model.id).where(model.qos_policy_id == row.id)
            if model is Network:
                query = query.where(Network.deleted_at.is_(None))
            user = context.db.scalar(query.limit(1))
            if user is not None:
                raise Conflict(f"QoS Policy {row.id} is used by {kind} {user}.", kind="QosPolicyInUse")
        context.db.delete(row)


def _rule_view(rule: QosRule) -> dict[str, Any]:
    return {"id": rule.id, "qos_policy_id": rule.policy_id, "type": rule.type, **TYPES[rule.type].view(rule)}


def _set_default(context: Context, policy: QosPolicy, *, default: bool) -> None:
    """Make *policy* the default of its project, or stop that. Raises Conflict if the project has another one."""
    if default and qos_use.default_of(context.db, policy.project_id) not in (None, policy.id):
        text = f"A default QoS policy exists for project {policy.project_id}."
        raise Conflict(text, kind="QoSPolicyDefaultAlreadyExists")
    policy.default_of = policy.project_id if default else None


def _set_shared(context: Context, policy: QosPolicy, *, shared: bool) -> None:
    """Share *policy* with all projects, or stop that."""
    if shared and EVERYONE not in targets(policy):
        share(policy, RBAC_TYPE, context.caller.project_id or policy.project_id)
    elif not shared:
        if users_without(context.db, policy, EVERYONE):
            text = f"RBAC policy on object {policy.id} cannot be removed because other objects depend on it.\nDetails: "
            raise Conflict(f"{text}project_id={EVERYONE}", kind="RbacPolicyInUse")
        unshare(policy, EVERYONE)


QOS_POLICIES = QosPolicies()
QOS_POLICIES.register(router)
