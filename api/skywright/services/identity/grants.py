"""Grants: a role of a user or group on a project, a domain or the system; OS-INHERIT grants apply below the target.

https://docs.openstack.org/api-ref/identity/v3/#assign-role-to-user-on-domain
"""

from typing import Any

from sqlalchemy import select

from skywright.db.identity import Domain, Group, Project, Role, RoleAssignment, User
from skywright.http import Context, Forbidden, NotFound, Router
from skywright.http.policy import Rules, on_target
from skywright.services.identity import roles
from skywright.services.identity.common import exists, reads, target
from skywright.services.identity.listing import listing

router = Router()
ACTORS: dict[str, Any] = {"user": User, "group": Group}
TARGETS: dict[str, Any] = {"project": Project, "domain": Domain}


def _register(target_type: str, actor_type: str, inherited: bool) -> None:
    """Add the routes of one type of grant."""
    prefix = "/v3/OS-INHERIT" if inherited else "/v3"
    suffix = "/inherited_to_projects" if inherited else ""
    where = "system" if target_type == "system" else f"{target_type}s/{{target_id}}"
    path = f"{prefix}/{where}/{actor_type}s/{{actor_id}}/roles"
    grant = _Grant(target_type, actor_type, inherited)
    # System grants of users and of groups have their own rules.
    kind = f"system_grant{{}}_for_{actor_type}" if target_type == "system" else "grant{}"

    def rule(verb: str, plural: str = "") -> Rules:
        return on_target(f"identity:{verb}_{kind.format(plural)}")

    @reads(router, path + suffix, rule("list", "s"))
    def list_grants(context: Context, actor_id: str, target_id: str = "all") -> dict[str, Any]:
        grant.check(context, actor_id, target_id, None)
        held = select(RoleAssignment.role_id).where(*grant.columns(actor_id, target_id))
        rows = context.db.scalars(select(Role).where(Role.id.in_(held)).order_by(Role.name_key))
        return listing(context, "roles", [roles.view(context, row) for row in rows])

    @reads(router, f"{path}/{{role_id}}{suffix}", rule("check"), status=204)
    def check_grant(context: Context, actor_id: str, role_id: str, target_id: str = "all") -> None:
        grant.check(context, actor_id, target_id, role_id)
        grant.find(context, actor_id, target_id, role_id)

    @router.operation("PUT", f"{path}/{{role_id}}{suffix}", policy=rule("create"), status=204)
    def create_grant(context: Context, actor_id: str, role_id: str, target_id: str = "all") -> None:
        grant.check(context, actor_id, target_id, role_id, new=True)
        context.db.merge(RoleAssignment(**grant.key(actor_id, target_id, role_id)))

    @router.operation("DELETE", f"{path}/{{role_id}}{suffix}", policy=rule("revoke"), status=204)
    def revoke_grant(context: Context, actor_id: str, role_id: str, target_id: str = "all") -> None:
        grant.check(context, actor_id, target_id, role_id)
        context.db.delete(grant.find(context, actor_id, target_id, role_id))


class _Grant:
    """One type of grant."""

    def __init__(self, target_type: str, actor_type: str, inherited: bool) -> None:
        self.target_type, self.actor_type, self.inherited = target_type, actor_type, inherited

    def check(self, context: Context, actor_id: str, target_id: str, role_id: str | None, *, new: bool = False) -> None:
        """Enforce the route's rule, then check that actor, target and role exist."""
        actor = context.db.get(ACTORS[self.actor_type], actor_id)
        role = context.db.get(Role, role_id) if role_id else None
        system = self.target_type == "system"
        place = None if system else context.db.get(TARGETS[self.target_type], target_id)
        context.enforce(context.rules[0], target(actor, place, role))
        exists(actor, self.actor_type, actor_id)
        if not system:
            exists(place, self.target_type, target_id)
        if role_id:
            exists(role, "role", role_id)
        if role and role.domain_id and new and role.domain_id != _domain_of(place):
            raise Forbidden(f"The role {role.id} belongs to another domain than the target.")

    def key(self, actor_id: str, target_id: str, role_id: str) -> dict[str, Any]:
        """Return the columns of one assignment."""
        return {
            "actor_type": self.actor_type,
            "actor_id": actor_id,
            "target_type": self.target_type,
            "target_id": target_id,
            "role_id": role_id,
            "inherited": self.inherited,
        }

    def columns(self, actor_id: str, target_id: str) -> list[Any]:
        """Return the clause for all roles of one actor on one target."""
        values = self.key(actor_id, target_id, "")
        return [getattr(RoleAssignment, name) == value for name, value in values.items() if name != "role_id"]

    def find(self, context: Context, actor_id: str, target_id: str, role_id: str) -> RoleAssignment:
        query = select(RoleAssignment).where(*self.columns(actor_id, target_id), RoleAssignment.role_id == role_id)
        row = context.db.scalar(query)
        if row is None:
            raise NotFound(f"Could not find role assignment with role: {role_id}, {self.actor_type}: {actor_id}.")
        return row


def _domain_of(place: Project | Domain | None) -> str | None:
    return place.domain_id if isinstance(place, Project) else getattr(place, "id", None)


for _actor in ACTORS:
    _register("system", _actor, inherited=False)
    for _target in TARGETS:
        for _inherited in (False, True):
            _register(_target, _actor, _inherited)
