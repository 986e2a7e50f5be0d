"""What identity's resources have in common: links, lists, filters, rules of names, policy targets."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skywright.db import utcnow
from skywright.db.identity import Domain, Project, Role, User
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.bodies import plain, storable
from skywright.http.policy import Rules

# Columns that policy rules use in their targets.
ATTRIBUTES = ("id", "name", "domain_id", "user_id", "project_id", "type", "trustor_user_id", "trustee_user_id")
RESERVED = frozenset({"id", "links"})
Row = TypeVar("Row")
Handler = Callable[..., Any]


Text = Annotated[str, AfterValidator(plain)]
Id = Annotated[Text, StringConstraints(max_length=64)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"\S"), AfterValidator(plain)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"\S"), AfterValidator(plain)]
Description = Annotated[str, StringConstraints(max_length=65_000), AfterValidator(plain)]


class Body(BaseModel):
    """A resource in a request. Attributes that are not fields are stored unchanged."""

    model_config = ConfigDict(extra="allow", strict=True)

    @model_validator(mode="after")
    def _storable(self) -> "Body":
        storable(self.model_extra)
        return self

    @property
    def unknown(self) -> dict[str, Any]:
        """Return the attributes that are not fields, without those that only the service sets."""
        return {name: value for name, value in (self.model_extra or {}).items() if name not in RESERVED}

    def given(self) -> dict[str, Any]:
        """Return the names of the fields in the request."""
        return {name: getattr(self, name) for name in self.model_fields_set if name in type(self).model_fields}


def change_extra(row: Any, body: Body) -> None:
    """Change the extra attributes of *row*: new ones are added, those set to null are removed. Its id cannot change."""
    if (body.model_extra or {}).get("id") not in (None, row.id):
        raise BadRequest("Cannot change ID")
    row.extra = {name: value for name, value in {**row.extra, **body.unknown}.items() if value is not None}


def reads(router: Router, path: str, policy: Rules, status: int = 200) -> Callable[[Handler], Handler]:
    """Register a handler for GET and HEAD, as in Keystone."""

    def register(handler: Handler) -> Handler:
        for method in ("GET", "HEAD"):
            router.operation(method, path, policy=policy, status=status)(handler)
        return handler

    return register


def link(context: Context, path: str) -> dict[str, str]:
    """Return the `links` of one resource."""
    return {"self": f"{context.base_url}/v3/{path}"}


def target(*rows: Any, **more: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return a policy target with Keystone's names: `target.user.domain_id` of a user in *rows*; *more* is below
    `target.`.
    """
    found = {type(row).__name__.lower(): _attributes(row) for row in rows if row is not None} | more
    values: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, Mapping):
            values |= {f"{name}.{attribute}": each for attribute, each in value.items()}
        else:
            values[name] = value
    return {f"target.{name}": value for name, value in values.items() if value}


def _attributes(row: Any) -> dict[str, Any]:
    found = {name: getattr(row, name, None) for name in ATTRIBUTES}
    if isinstance(row, Role):
        # Keystone's rules recognize global roles by `None:%(target.role.domain_id)s`.
        found["domain_id"] = row.domain_id or "None"
    return found


def fetch(context: Context, kind: type[Row], identifier: str, label: str, rule: str | None = None) -> Row:
    """Return the row *identifier*, after *rule* (default: the route's) was enforced on it.

    A caller without the right to see it does not learn whether it exists.
    """
    row = context.db.get(kind, identifier)
    context.enforce(rule or context.rules[0], {**context.request.path_params, **target(row)})
    return exists(row, label, identifier)


def exists(row: Row | None, label: str, identifier: str) -> Row:
    """Return *row*, or raise NotFound if it is None."""
    if row is None:
        raise NotFound(f"Could not find {label}: {identifier}.")
    return row


def caller_domain(context: Context, given: str | None) -> str:
    """Return the domain of a new resource: the given one, else that of the caller's scope."""
    if given:
        return given
    if context.caller.domain_id:
        return context.caller.domain_id
    if context.caller.project_domain_id:
        return context.caller.project_domain_id
    if context.caller.system:
        raise BadRequest("You have tried to create a resource using a system token; say in which domain_id.")
    raise BadRequest("Say in which domain_id.")


def key_of(name: str) -> str:
    """Return the key that names are compared by. Casefolding may lengthen it; the column has 255 characters."""
    return name.casefold()[:255]


def flush(session: Session, what: str) -> None:
    """Flush the session; raise Conflict if a name exists."""
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"Conflict occurred attempting to store {what} - Duplicate entry found.") from error


def revoke_tokens(row: Domain | Project | User) -> None:
    """Revoke all tokens of *row* that were issued until now."""
    row.tokens_valid_after = utcnow()
