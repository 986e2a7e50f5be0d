"""Which roles a user holds where."""

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from skywright.db.identity import Role, RoleAssignment

# OpenStack's default implications: who has the first has the second too.
IMPLIED = {"admin": "manager", "manager": "member", "member": "reader"}


def effective_roles(
    session: Session, user_id: str, *, project_id: str | None, domain_id: str | None, system: bool
) -> list[Role]:
    """The roles of *user_id* on one scope (none for an unscoped request), implied ones included, by name."""
    target = _target(project_id, domain_id, system)
    if target is None:
        return []
    actor = and_(RoleAssignment.actor_type == "user", RoleAssignment.actor_id == user_id)
    direct = and_(
        actor,
        RoleAssignment.target_type == target[0],
        RoleAssignment.target_id == target[1],
        RoleAssignment.inherited.is_(False),
    )
    query = select(Role).join(RoleAssignment, RoleAssignment.role_id == Role.id).where(or_(direct))
    roles = {role.id: role for role in session.scalars(query)}
    wanted = set()
    for role in roles.values():
        name = role.name
        while name in IMPLIED:
            name = IMPLIED[name]
            wanted.add(name)
    implied = select(Role).where(Role.name_key.in_(wanted), Role.domain_id == "")
    roles |= {role.id: role for role in session.scalars(implied)} if wanted else {}
    return sorted(roles.values(), key=lambda role: role.name)


def _target(project_id: str | None, domain_id: str | None, system: bool) -> tuple[str, str] | None:
    if project_id:
        return "project", project_id
    if domain_id:
        return "domain", domain_id
    return ("system", "all") if system else None
