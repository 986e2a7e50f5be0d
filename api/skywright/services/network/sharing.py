"""The projects that RBAC policies share objects with."""

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from skywright.services.network.qos_tables import QosPolicy
from skywright.services.network.tables import AddressScope, Network, Port, RbacPolicy, Shareable, Subnet, SubnetPool

EVERYONE = "*"
SHARED = "access_as_shared"
EXTERNAL = "access_as_external"  # a network for gateways of routers and for floating IPs
_limited = union_all(*(select(model.project_id, model.qos_policy_id) for model in (Port, Network))).subquery()
# The projects of the rows that use an object, and the object's id in these rows.
_USERS: dict[type[Shareable], tuple[Any, Any]] = {
    Network: (Port.project_id, Port.network_id),
    SubnetPool: (Subnet.project_id, Subnet.subnetpool_id),
    AddressScope: (SubnetPool.project_id, SubnetPool.address_scope_id),
    QosPolicy: (_limited.c.project_id, _limited.c.qos_policy_id),
}


def shared_with(project_id: str | None, action: str = SHARED) -> Select[str]:
    """Return the query for the ids of the objects that policies of an *action* share with a project."""
    targeted = RbacPolicy.target_project.in_([EVERYONE, project_id])
    return select(RbacPolicy.object_id).where(targeted, RbacPolicy.action == action)


def usable_by(model: type[Shareable], project_id: str | None) -> ColumnElement[bool]:
    """Return the clause for rows that belong to a project, or are shared with it."""
    return or_(model.project_id == project_id, model.id.in_(shared_with(project_id)))


def network_visible_to(project_id: str | None) -> ColumnElement[bool]:
    """Return the clause for networks that a project may use, or may have gateways and floating IPs on."""
    return or_(usable_by(Network, project_id), Network.id.in_(shared_with(project_id, EXTERNAL)))


def with_policies(network: InstrumentedAttribute[Network]) -> ORMOption:
    """Return the option of a query that loads the networks of its rows with their policies."""
    return selectinload(network).selectinload(Network.rbac_policies)


def is_shared(row: Shareable, project_id: str | None) -> bool:
    """Return whether *row* is shared with a project."""
    return not {EVERYONE, project_id}.isdisjoint(targets(row))


def targets(row: Shareable, action: str = SHARED) -> set[str]:
    """Return the projects that policies of an *action* share *row* with."""
    return {policy.target_project for policy in row.rbac_policies if policy.action == action}


def users_without(session: Session, row: Shareable, target: str) -> set[str]:
    """Return the projects that use *row* and may use it only because it is shared with *target*."""
    others = targets(row) - {target}
    if target not in targets(row) or EVERYONE in others:
        return set()
    project, reference = _USERS[type(row)]
    users = set(session.scalars(select(project).where(reference == row.id).distinct()))
    users -= {row.project_id, *others}
    return users if target == EVERYONE else users & {target}


def share(row: Shareable, kind: str, project_id: str, target: str = EVERYONE, action: str = SHARED) -> RbacPolicy:
    """Share *row*, of the API's type *kind*, with the project *target*; the policy belongs to *project_id*."""
    policy = RbacPolicy(object_type=kind, project_id=project_id, target_project=target, action=action)
    row.rbac_policies.append(policy)
    return policy


def unshare(row: Shareable, target: str, action: str = SHARED) -> None:
    """Remove the policy of an *action* that shares *row* with *target*."""
    kept = [policy for policy in row.rbac_policies if (policy.target_project, policy.action) != (target, action)]
    row.rbac_policies = kept
