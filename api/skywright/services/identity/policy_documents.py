"""`/v3/policies`: policy documents for other programs. https://docs.openstack.org/api-ref/identity/v3/#policies"""

from typing import Annotated, Any

from pydantic import StringConstraints
from sqlalchemy import select

from skywright.db.identity import Policy
from skywright.http import Context, Router
from skywright.http.bodies import Omittable, Strict
from skywright.services.identity.common import Body, Name, Text, change_extra, exists, flush, link, reads
from skywright.services.identity.listing import page

router = Router()
Blob = Annotated[Text, StringConstraints(max_length=500_000)]


class NewPolicy(Body):
    blob: Blob
    type: Name


class PolicyChange(Body):
    blob: Omittable[Blob] = None
    type: Omittable[Name] = None


class CreatePolicy(Strict):
    policy: NewPolicy


class UpdatePolicy(Strict):
    policy: PolicyChange


def _view(context: Context, row: Policy) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "blob": row.blob,
        "links": link(context, f"policies/{row.id}"),
    }


@reads(router, "/v3/policies", "identity:list_policies")
def list_policies(context: Context) -> dict[str, Any]:
    return page(context, "policies", select(Policy), _view, order=(Policy.id,), filters={"type": Policy.type})


@router.operation("POST", "/v3/policies", policy="identity:create_policy", status=201)
def create_policy(context: Context, body: CreatePolicy) -> dict[str, Any]:
    row = Policy(type=body.policy.type, blob=body.policy.blob, extra=body.policy.unknown)
    context.db.add(row)
    flush(context.db, "policy")
    return {"policy": _view(context, row)}


@reads(router, "/v3/policies/{policy_id}", "identity:get_policy")
def show_policy(context: Context, policy_id: str) -> dict[str, Any]:
    return {"policy": _view(context, _get(context, policy_id))}


@router.operation("PATCH", "/v3/policies/{policy_id}", policy="identity:update_policy")
def update_policy(context: Context, policy_id: str, body: UpdatePolicy) -> dict[str, Any]:
    row, wanted = _get(context, policy_id), body.policy
    for name, value in wanted.given().items():
        setattr(row, name, value)
    change_extra(row, wanted)
    return {"policy": _view(context, row)}


@router.operation("DELETE", "/v3/policies/{policy_id}", policy="identity:delete_policy", status=204)
def delete_policy(context: Context, policy_id: str) -> None:
    context.db.delete(_get(context, policy_id))


def _get(context: Context, policy_id: str) -> Policy:
    return exists(context.db.get(Policy, policy_id), "policy", policy_id)
