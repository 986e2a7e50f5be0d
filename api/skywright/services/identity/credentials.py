"""`/v3/credentials` and EC2 key pairs: users' secrets, encrypted in the database.

https://docs.openstack.org/api-ref/identity/v3/#credentials
"""

import hashlib
import secrets
from typing import Annotated, Any

import orjson
from fastapi import Response
from pydantic import StringConstraints
from sqlalchemy import ColumnElement, select, true

from skywright.db import new_hex
from skywright.db.identity import Credential, Project, User
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.http.router import json_response
from skywright.services.identity.common import (
    Body,
    Id,
    Name,
    Text,
    change_extra,
    exists,
    fetch,
    flush,
    link,
    reads,
    target,
)
from skywright.services.identity.listing import listing, page

router = Router()
Blob = Annotated[Text, StringConstraints(max_length=65_000)]


class NewCredential(Body):
    blob: Blob
    type: Name
    user_id: Omittable[Id] = None
    project_id: Id | None = None


class CredentialChange(Body):
    blob: Omittable[Blob] = None
    type: Omittable[Name] = None
    user_id: Omittable[Id] = None
    project_id: Id | None = None


class NewEc2(Strict):
    tenant_id: Id


class CreateCredential(Strict):
    credential: NewCredential


class UpdateCredential(Strict):
    credential: CredentialChange


def view(context: Context, row: Credential) -> dict[str, Any]:
    """Return the view of a credential, with its decrypted blob."""
    return {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "blob": _open(context, row),
        "user_id": row.user_id,
        "project_id": row.project_id,
        "links": link(context, f"credentials/{row.id}"),
    }


def _open(context: Context, row: Credential) -> str:
    blob = context.cloud.secrets.open(row.sealed)
    if blob is None:
        raise RuntimeError(f"no key opens credential {row.id}")
    return blob.decode()


@reads(router, "/v3/credentials", on_target("identity:list_credentials"))
def list_credentials(context: Context) -> dict[str, Any]:
    query = select(Credential)
    if not context.allows("identity:list_credentials", target()):
        # Users without the right to list all see their own.
        context.enforce("identity:list_credentials", target(credential={"user_id": context.caller.user_id}))
        query = query.where(Credential.user_id == context.caller.user_id)
    query = query.where(_reachable(context))
    filters = {"user_id": Credential.user_id, "type": Credential.type}
    return page(context, "credentials", query, view, order=(Credential.id,), filters=filters)


@router.operation("POST", "/v3/credentials", policy=on_target("identity:create_credential"), status=201)
def create_credential(context: Context, body: CreateCredential) -> dict[str, Any]:
    wanted = body.credential
    row = Credential(
        id=_identifier(wanted.type, wanted.blob),
        user_id=wanted.user_id or context.caller.user_id,
        project_id=wanted.project_id,
        type=wanted.type,
        sealed=context.cloud.secrets.seal(wanted.blob.encode()),
        extra=wanted.unknown,
    )
    _refuse_delegated(context)
    _check(context, row)
    _add(context, row)
    return {"credential": view(context, row)}


@reads(router, "/v3/credentials/{credential_id}", on_target("identity:get_credential"))
def show_credential(context: Context, credential_id: str) -> dict[str, Any]:
    return {"credential": view(context, _fetch(context, credential_id))}


@router.operation("PATCH", "/v3/credentials/{credential_id}", policy=on_target("identity:update_credential"))
def update_credential(context: Context, credential_id: str, body: UpdateCredential) -> dict[str, Any]:
    row, wanted = _fetch(context, credential_id), body.credential
    _refuse_delegated(context)
    project_id = row.project_id
    for name, value in wanted.given().items():
        if name != "blob":
            setattr(row, name, value)
    _check(context, row, own_project=row.project_id == project_id)
    if wanted.blob is not None:
        row.sealed = context.cloud.secrets.seal(wanted.blob.encode())
    if row.type == "ec2":
        _ec2(_open(context, row))
    change_extra(row, wanted)
    return {"credential": view(context, row)}


@router.operation(
    "DELETE", "/v3/credentials/{credential_id}", policy=on_target("identity:delete_credential"), status=204
)
def delete_credential(context: Context, credential_id: str) -> None:
    context.db.delete(_fetch(context, credential_id))


@reads(router, "/v3/users/{user_id}/credentials/OS-EC2", on_target("identity:ec2_list_credentials"))
def list_ec2(context: Context, user_id: str) -> dict[str, Any]:
    _owner(context, user_id)
    query = select(Credential).where(Credential.user_id == user_id, Credential.type == "ec2", _reachable(context))
    rows = context.db.scalars(query.order_by(Credential.id))
    return listing(context, "credentials", [_view_ec2(context, row) for row in rows])


@router.operation("POST", "/v3/users/{user_id}/credentials/OS-EC2", policy=on_target("identity:ec2_create_credential"))
def create_ec2(context: Context, user_id: str, body: NewEc2) -> Response:
    _owner(context, user_id)
    access = new_hex()
    blob = orjson.dumps({"access": access, "secret": secrets.token_hex(16), "trust_id": None})
    row = Credential(
        id=_identifier("ec2", blob.decode()),
        user_id=user_id,
        project_id=body.tenant_id,
        type="ec2",
        sealed=context.cloud.secrets.seal(blob),
    )
    _refuse_delegated(context)
    _check(context, row)
    _add(context, row)
    return json_response({"credential": _view_ec2(context, row)}, 201)


@reads(router, "/v3/users/{user_id}/credentials/OS-EC2/{access}", on_target("identity:ec2_get_credential"))
def show_ec2(context: Context, user_id: str, access: str) -> dict[str, Any]:
    return {"credential": _view_ec2(context, _find_ec2(context, user_id, access))}


@router.operation(
    "DELETE",
    "/v3/users/{user_id}/credentials/OS-EC2/{access}",
    policy=on_target("identity:ec2_delete_credential"),
    status=204,
)
def delete_ec2(context: Context, user_id: str, access: str) -> None:
    context.db.delete(_find_ec2(context, user_id, access))


def _fetch(context: Context, credential_id: str) -> Credential:
    row = fetch(context, Credential, credential_id, "credential")
    _check_reach(context, row)
    return row


def _reachable(context: Context) -> ColumnElement[bool]:
    """Return the clause for the credentials that the token reaches: a delegated one only those of its project.

    Others, such as the user's secrets for further methods of authentication, have nothing to do with the delegation.
    """
    who = context.caller
    delegated = who.trust_id or who.application_credential_id
    return Credential.project_id == who.project_id if delegated else true()


def _check_reach(context: Context, row: Credential) -> None:
    if context.db.scalar(select(Credential.id).where(Credential.id == row.id, _reachable(context))) is None:
        raise Forbidden("The credential does not belong to the project of the token's trust or application credential.")


def _owner(context: Context, user_id: str) -> None:
    """Enforce the route's rule on the user's EC2 credentials."""
    user = context.db.get(User, user_id)
    context.enforce(context.rules[0], {"user_id": user_id} | target(credential={"user_id": user_id}))
    exists(user, "user", user_id)


def _identifier(kind: str, blob: str) -> str:
    """Return the id of a credential: the digest of an EC2 access key, else a random id."""
    return hashlib.sha256(_ec2(blob)["access"].encode(errors="replace")).hexdigest() if kind == "ec2" else new_hex()


def _ec2(blob: str) -> dict[str, Any]:
    """Return the keys in the blob of an EC2 credential; raise BadRequest if it is not valid."""
    try:
        parsed = orjson.loads(blob)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("access"), str) and isinstance(parsed.get("secret"), str):
        return parsed
    raise BadRequest("The blob of an EC2 credential is a JSON object with `access` and `secret`.")


def _check(context: Context, row: Credential, *, own_project: bool = False) -> None:
    """Refuse what the route's rule does not allow.

    The credential must be the caller's own, and its project the token's (*own_project*: or the credential's former
    one). Administrators may choose both.
    """
    context.enforce(context.rules[0], target(row))
    if row.type == "ec2" and not row.project_id:
        raise BadRequest("An EC2 credential needs a project_id.")
    if row.project_id and not (own_project or context.is_admin or row.project_id == context.caller.project_id):
        raise Forbidden("A credential is made for the project of the token.")
    exists(context.db.get(User, row.user_id), "user", row.user_id)
    if row.project_id:
        exists(context.db.get(Project, row.project_id), "project", row.project_id)


def _refuse_delegated(context: Context) -> None:
    """Refuse tokens with delegated rights: a credential would outlive the delegation."""
    if context.caller.trust_id or not context.caller.unrestricted:
        raise Forbidden("A token of a trust or of a restricted application credential cannot make credentials.")


def _add(context: Context, row: Credential) -> None:
    if context.db.get(Credential, row.id):
        raise Conflict("Conflict occurred attempting to store credential - Duplicate entry.")
    context.db.add(row)
    flush(context.db, "credential")


def _find_ec2(context: Context, user_id: str, access: str) -> Credential:
    """Return the user's EC2 credential with this access key, which an update may have changed since its id was made."""
    _owner(context, user_id)
    rows = context.db.scalars(select(Credential).where(Credential.user_id == user_id, Credential.type == "ec2"))
    row = next((row for row in rows if _ec2(_open(context, row))["access"] == access), None)
    if row is None:
        raise NotFound(f"Could not find credential: {access}.")
    _check_reach(context, row)
    return row


def _view_ec2(context: Context, row: Credential) -> dict[str, Any]:
    blob = orjson.loads(_open(context, row))
    return {
        "access": blob["access"],
        "secret": blob["secret"],
        "user_id": row.user_id,
        "tenant_id": row.project_id,
        "trust_id": None,
        "links": link(context, f"users/{row.user_id}/credentials/OS-EC2/{blob['access']}"),
    }
