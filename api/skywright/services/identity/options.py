"""Options of users, projects, domains and roles.

https://docs.openstack.org/keystone/latest/admin/resource-options.html. Passwords of this cloud neither expire nor lock
users out, so the options that begin with `ignore_` have no effect.
"""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from skywright.db.identity import Domain, Project, Role, User
from skywright.http import Forbidden
from skywright.services.identity.common import Body


def _without_duplicates(items: list[Any]) -> list[Any]:
    if any(item in items[:position] for position, item in enumerate(items)):
        raise PydanticCustomError("unique", "not unique")
    return items


Rule = Annotated[list[str], Field(min_length=1), AfterValidator(_without_duplicates)]


class Options(BaseModel):
    """The options in a request; null removes an option."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def onto(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return *options* after this change."""
        changed = {**options, **self.model_dump(exclude_unset=True)}
        return {name: value for name, value in changed.items() if value is not None}


class ResourceOptions(Options):
    immutable: bool | None = None


class UserOptions(Options):
    ignore_change_password_upon_first_use: bool | None = None
    ignore_password_expiry: bool | None = None
    ignore_lockout_failure_attempts: bool | None = None
    ignore_user_inactivity: bool | None = None
    lock_password: bool | None = None
    multi_factor_auth_enabled: bool | None = None
    multi_factor_auth_rules: Annotated[list[Rule], AfterValidator(_without_duplicates)] | None = None


def changeable(row: Domain | Project | Role, label: str, wanted: Body | None = None) -> None:
    """Raise Forbidden if *row* is immutable, unless the update *wanted* only makes it mutable."""
    if not row.options.get("immutable"):
        return
    options = wanted.given().get("options") if wanted else None
    frees = isinstance(options, ResourceOptions) and "immutable" in options.model_fields_set and not options.immutable
    if not frees or (wanted and len(wanted.given() | wanted.unknown) > 1):
        raise Forbidden(f"Cannot modify or delete {label} {row.id}: it is immutable.")


def suffices(user: User, methods: Collection[str], known: Collection[str]) -> bool:
    """Return whether *methods* of authentication satisfy one of the user's rules, if he has rules and they are enabled.

    Only *known* methods in a rule count, as in Keystone, so that a rule cannot lock a user out permanently.
    """
    if not user.options.get("multi_factor_auth_enabled", True):
        return True
    rules = [set(rule).intersection(known) for rule in user.options.get("multi_factor_auth_rules", [])]
    rules = [rule for rule in rules if rule]
    return not rules or any(rule.issubset(methods) for rule in rules)
