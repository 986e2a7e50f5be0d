"""The use of QoS policies by ports and networks."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import Context, Forbidden, NotFound
from skywright.services.network import schemas
from skywright.services.network.qos_tables import QosPolicy
from skywright.services.network.sharing import usable_by
from skywright.services.network.tables import Network, Port


def usable(context: Context, policy_id: str | None) -> str | None:
    """Return the id of a policy that the caller may use, or None. Raises NotFound."""
    if policy_id is not None and not _is_usable(context, policy_id):
        raise not_found(policy_id)
    return policy_id


def set_policy(context: Context, row: Network | Port, item: schemas.NetworkUpdate | schemas.PortUpdate) -> None:
    """Set the policy that *item* names, if it does. Raises NotFound for a policy that the caller may not use, and
    Forbidden if that is the one to be replaced.
    """
    if "qos_policy_id" not in item.model_fields_set:
        return
    if row.qos_policy_id is not None and not _is_usable(context, row.qos_policy_id):
        text = f"Failed to remove provided policy {row.qos_policy_id} because you are not authorized."
        raise Forbidden(text, kind="PolicyRemoveAuthorizationError")
    row.qos_policy_id = usable(context, item.qos_policy_id)


def _is_usable(context: Context, policy_id: str) -> bool:
    query = select(QosPolicy.id).where(QosPolicy.id == policy_id)
    if not context.is_admin:
        query = query.where(usable_by(QosPolicy, context.caller.project_id))
    return context.db.scalar(query) is not None


def not_found(policy_id: str) -> NotFound:
    return NotFound(f"QoS policy {policy_id} could not be found.", kind="QosPolicyNotFound")


def default_of(session: Session, project_id: str) -> str | None:
    """Return the id of the policy that new networks of a project get."""
    return session.scalar(select(QosPolicy.id).where(QosPolicy.default_of == project_id))
