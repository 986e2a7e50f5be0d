"""Key pairs: SSH public keys of users. https://docs.openstack.org/api-ref/compute/#keypairs-keypairs"""

import re
from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import AfterValidator, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.db import isoformat
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Omittable, Strict, plain
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.http.router import json_response
from skywright.services.compute import quotas, ssh_keys
from skywright.services.compute.listing import PAGING, next_link, page, parameters
from skywright.services.compute.tables import Keypair
from skywright.services.compute.validation import Identifier, Name, unexpected

router = Router()
OF_ONE = frozenset({"user_id"})


class NewKeypair(Strict):
    name: Name
    public_key: Omittable[Annotated[str, Field(min_length=1, max_length=16384), AfterValidator(plain)]] = None
    type: Omittable[Literal["ssh", "x509"]] = None
    user_id: Omittable[Identifier] = None


class CreateKeypair(Strict):
    keypair: NewKeypair


@router.operation("GET", "/v2.1/os-keypairs", policy=on_target("os_compute_api:os-keypairs:index"))
def list_keypairs(context: Context) -> dict[str, Any]:
    version = version_of(context)
    parameters(context, PAGING | OF_ONE)
    query, marker = select(Keypair).where(Keypair.user_id == _user(context)), None
    if version < 35:
        rows = list(context.db.scalars(query.order_by(Keypair.name)))
    else:
        order, name = [(Keypair.name, True)], Keypair.name
        rows, marker = page(context, query, order, scope=query, column=name, marker_of=lambda row: str(row.name))
    body = {"keypairs": [{"keypair": _view(row, version)} for row in rows]}
    return body | next_link(context, "keypairs_links", marker)


@router.operation("GET", "/v2.1/os-keypairs/{name}", policy=on_target("os_compute_api:os-keypairs:show"))
def show_keypair(context: Context, name: str) -> dict[str, Any]:
    parameters(context, OF_ONE)
    row = _find(context, name)
    more = {
        "id": row.id,
        "user_id": row.user_id,
        "created_at": isoformat(row.created_at),
        "deleted": False,
        "deleted_at": None,
        "updated_at": None,
    }
    return {"keypair": _view(row, version_of(context)) | more}


# The generation of a key takes long, so it comes before the transaction that stores it.
@router.operation("POST", "/v2.1/os-keypairs", policy=on_target("os_compute_api:os-keypairs:create"), write=False)
def create_keypair(context: Context, body: CreateKeypair) -> Response:
    wanted, version = body.keypair, version_of(context)
    _check(wanted, version)
    user = _user(context, wanted.user_id)
    context.check_user(user)
    private, public = None, wanted.public_key
    if public is None:
        private, public = ssh_keys.generate()
    try:
        mark = ssh_keys.fingerprint(public)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    row = Keypair(user_id=user, name=wanted.name, public_key=public.strip(), fingerprint=mark, type="ssh")
    with context.writing() as session:
        _store(session, context, row)
    view = _view(row, version) | {"user_id": user} | ({"private_key": private} if private else {})
    return json_response({"keypair": view}, 201 if version >= 2 else 200)


@router.operation("DELETE", "/v2.1/os-keypairs/{name}", policy=on_target("os_compute_api:os-keypairs:delete"))
def delete_keypair(context: Context, name: str) -> Response:
    parameters(context, OF_ONE)
    context.db.delete(_find(context, name))
    return Response(status_code=204 if version_of(context) >= 2 else 202)


def _check(wanted: NewKeypair, version: int) -> None:
    if version < 2 and wanted.type is not None:
        raise unexpected(["type"])
    if version < 10 and wanted.user_id is not None:
        raise unexpected(["user_id"])
    if wanted.type not in (None, "ssh"):
        raise BadRequest("This cloud has keypairs of type ssh only.")
    if wanted.public_key is None and version >= 92:
        raise BadRequest("'public_key' is a required property: keys are not generated since 2.92.")
    extra = "@." if version >= 92 else ""
    if not re.fullmatch(rf"[a-zA-Z0-9_\- {extra}]+", wanted.name, re.ASCII):
        raise BadRequest(f"Keypair data is invalid: Only expected characters: [a-zA-Z0-9_- {extra}]")


def _store(session: Session, context: Context, row: Keypair) -> None:
    query = select(func.count()).where(Keypair.user_id == row.user_id)
    limit = quotas.limits(session, context.caller.project_id)["key_pairs"]
    if 0 <= limit <= (session.scalar(query) or 0):
        raise Forbidden("Quota exceeded, too many key pairs.")
    if find_keypair(session, row.user_id, row.name):
        raise Conflict(f"Key pair '{row.name}' already exists.")
    session.add(row)


def find_keypair(session: Session, user_id: str, name: str) -> Keypair | None:
    """Return the key pair *name* of the user."""
    return session.scalar(select(Keypair).where(Keypair.user_id == user_id, Keypair.name == name))


def _find(context: Context, name: str) -> Keypair:
    user = _user(context)
    row = find_keypair(context.db, user, name)
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user}")
    return row


def _user(context: Context, wanted: str | None = None) -> str:
    """Return the user whose key pairs are requested; since 2.10 it may be another user, if the policy allows that."""
    wanted = wanted or context.request.query_params.get("user_id")
    user = wanted if wanted and version_of(context) >= 10 else context.caller.user_id
    context.enforce(context.rules[0], {"user_id": user})
    return user


def _view(row: Keypair, version: int) -> dict[str, Any]:
    view = {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint}
    return view | ({"type": row.type} if version >= 2 else {})
