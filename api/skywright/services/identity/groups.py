"""`/v3/groups` and their members. https://docs.openstack.org/api-ref/identity/v3/#groups"""

from typing import Any

from sqlalchemy import select

from skywright.db.identity import Domain, Group, GroupMember, User
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.services.identity import cascade, users
from skywright.services.identity.common import (
    Body,
    Description,
    Id,
    ShortName,
    caller_domain,
    change_extra,
    exists,
    fetch,
    flush,
    key_of,
    link,
    reads,
    target,
)
from skywright.services.identity.listing import page

router = Router()


class NewGroup(Body):
    name: ShortName
    domain_id: Omittable[Id] = None
    description: Description | None = None


class GroupChange(Body):
    name: Omittable[ShortName] = None
    domain_id: Omittable[Id] = None
    description: Description | None = None


class CreateGroup(Strict):
    group: NewGroup


class UpdateGroup(Strict):
    group: GroupChange


def view(context: Context, row: Group) -> dict[str, Any]:
    """Return the view of a group."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "description": row.description,
        "links": link(context, f"groups/{row.id}"),
    }


@reads(router, "/v3/groups", on_target("identity:list_groups"))
def list_groups(context: Context) -> dict[str, Any]:
    query = select(Group)
    if not context.allows("identity:list_groups", target()):
        context.enforce("identity:list_groups", target(group={"domain_id": context.caller.domain_id}))
        query = query.where(Group.domain_id == context.caller.domain_id)
    filters = {"name": Group.name, "domain_id": Group.domain_id, "id": Group.id}
    return page(context, "groups", query, view, order=(Group.name_key, Group.id), filters=filters)


@router.operation("POST", "/v3/groups", policy=on_target("identity:create_group"), status=201)
def create_group(context: Context, body: CreateGroup) -> dict[str, Any]:
    wanted = body.group
    domain_id = caller_domain(context, wanted.domain_id)
    context.enforce("identity:create_group", target(group={"domain_id": domain_id}))
    exists(context.db.get(Domain, domain_id), "domain", domain_id)
    row = Group(
        name=wanted.name,
        name_key=key_of(wanted.name),
        domain_id=domain_id,
        description=wanted.description or "",
        extra=wanted.unknown,
    )
    context.db.add(row)
    flush(context.db, "group")
    return {"group": view(context, row)}


@reads(router, "/v3/groups/{group_id}", on_target("identity:get_group"))
def show_group(context: Context, group_id: str) -> dict[str, Any]:
    return {"group": view(context, fetch(context, Group, group_id, "group"))}


@router.operation("PATCH", "/v3/groups/{group_id}", policy=on_target("identity:update_group"))
def update_group(context: Context, group_id: str, body: UpdateGroup) -> dict[str, Any]:
    row, wanted = fetch(context, Group, group_id, "group"), body.group
    if wanted.domain_id not in (None, row.domain_id):
        raise BadRequest("Cannot change Domain ID")
    if wanted.name is not None:
        row.name, row.name_key = wanted.name, key_of(wanted.name)
    if "description" in wanted.model_fields_set:
        row.description = wanted.description or ""
    change_extra(row, wanted)
    flush(context.db, "group")
    return {"group": view(context, row)}


@router.operation("DELETE", "/v3/groups/{group_id}", policy=on_target("identity:delete_group"), status=204)
def delete_group(context: Context, group_id: str) -> None:
    cascade.group(context.db, fetch(context, Group, group_id, "group"))


@reads(router, "/v3/users/{user_id}/groups", on_target("identity:list_groups_for_user"))
def list_user_groups(context: Context, user_id: str) -> dict[str, Any]:
    fetch(context, User, user_id, "user")
    query = select(Group).join(GroupMember, GroupMember.group_id == Group.id).where(GroupMember.user_id == user_id)
    return page(context, "groups", query, view, order=(Group.name_key, Group.id), filters={"name": Group.name})


@reads(router, "/v3/groups/{group_id}/users", on_target("identity:list_users_in_group"))
def list_members(context: Context, group_id: str) -> dict[str, Any]:
    fetch(context, Group, group_id, "group")
    query = select(User).join(GroupMember, GroupMember.user_id == User.id).where(GroupMember.group_id == group_id)
    return page(context, "users", query, users.view, order=(User.name_key, User.id), filters=users.FILTERS)


@reads(router, "/v3/groups/{group_id}/users/{user_id}", on_target("identity:check_user_in_group"), status=204)
def check_member(context: Context, group_id: str, user_id: str) -> None:
    _both(context, group_id, user_id)
    if context.db.get(GroupMember, (group_id, user_id)) is None:
        raise NotFound(f"User {user_id} is not found in group {group_id}.")


@router.operation(
    "PUT", "/v3/groups/{group_id}/users/{user_id}", policy=on_target("identity:add_user_to_group"), status=204
)
def add_member(context: Context, group_id: str, user_id: str) -> None:
    _both(context, group_id, user_id)
    context.db.merge(GroupMember(group_id=group_id, user_id=user_id))


@router.operation(
    "DELETE", "/v3/groups/{group_id}/users/{user_id}", policy=on_target("identity:remove_user_from_group"), status=204
)
def remove_member(context: Context, group_id: str, user_id: str) -> None:
    _both(context, group_id, user_id)
    row = context.db.get(GroupMember, (group_id, user_id))
    if row is None:
        raise NotFound(f"User {user_id} is not found in group {group_id}.")
    context.db.delete(row)


def _both(context: Context, group_id: str, user_id: str) -> None:
    """Enforce the route's rule on user and group, which must exist: a domain manager adds only users of the domain."""
    group, user = context.db.get(Group, group_id), context.db.get(User, user_id)
    context.enforce(context.rules[0], target(group, user))
    exists(group, "group", group_id)
    exists(user, "user", user_id)
