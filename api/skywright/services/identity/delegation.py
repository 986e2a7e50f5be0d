"""The choice of roles for a trustee or an application credential."""

from pydantic import BaseModel
from sqlalchemy import select

from skywright.auth.assignments import effective_roles
from skywright.db.identity import Project, Role
from skywright.http import BadRequest, Context, Forbidden
from skywright.http.bodies import Omittable
from skywright.services.identity.common import Text, exists, key_of


class RoleReference(BaseModel):
    """A role by id, or by name."""

    id: Omittable[Text] = None
    name: Omittable[Text] = None


def chosen_roles(context: Context, user_id: str, project_id: str, wanted: list[RoleReference] | None) -> list[str]:
    """Return the ids of the *wanted* roles (None: all); raise Forbidden unless *user_id* has them on the project."""
    session = context.db
    project = exists(session.get(Project, project_id), "project", project_id)
    place = (project.id, project.domain_id, project.parent_id)
    held = effective_roles(session, context.cloud.tokens.directory(session), user_id, project=place)
    if wanted is None:
        return held
    chosen = []
    for reference in wanted:
        role = _find(context, reference)
        if role is None or role.id not in held:
            raise Forbidden("Some of the roles are not held on the project.")
        chosen.append(role.id)
    return list(dict.fromkeys(chosen))


def _find(context: Context, reference: RoleReference) -> Role | None:
    if reference.id:
        return context.db.get(Role, reference.id)
    if reference.name:
        return context.db.scalar(select(Role).where(Role.name_key == key_of(reference.name), Role.domain_id == ""))
    raise BadRequest("A role is named by id or name.")
