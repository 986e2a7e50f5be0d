"""The context of one request: its credentials, transaction and policy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.cloud import Cloud
from skywright.core import Core
from skywright.db.dry_run import DryRunDatabase
from skywright.db.identity import Project, User
from skywright.errors import BadRequest, Forbidden, NotFound, Unauthorized
from skywright.http import audit
from skywright.http.policy import AUTHENTICATED, OnTarget

Row = TypeVar("Row")


@dataclass
class Context:
    """One request. `db` is its transaction: committed when the handler returns, rolled back when it raises."""

    cloud: Cloud
    request: Request
    db: Session
    request_id: str
    token: Credentials | None
    rules: Sequence[str] = ()  # of the route
    decided: dict[tuple[Any, ...], bool] = field(default_factory=dict)  # {(rule, target...): whether it allows}

    @property
    def core(self) -> Core:
        """The core, for the job engine."""
        return self.cloud

    @property
    def caller(self) -> Credentials:
        """The caller's credentials; raises Unauthorized without a valid token."""
        if self.token is None:
            raise Unauthorized()
        return self.token

    @property
    def project_id(self) -> str:
        """The project of the token's scope; raises Forbidden for other scopes."""
        if self.caller.project_id is None:
            raise Forbidden("This operation needs a token scoped to a project.")
        return self.caller.project_id

    @cached_property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator by the service's policy."""
        service = self.request.app.state.service
        return self.cloud.policies.of(service.type).allows(service.admin, {}, self.caller.for_policy())

    @cached_property
    def _credentials(self) -> dict[str, Any]:
        return self.caller.for_policy() | {"is_admin": self.is_admin}

    @property
    def base_url(self) -> str:
        """The service's URL as the client used it, without a slash at the end."""
        url = self.request.url
        return f"{url.scheme}://{url.netloc}{self.request.scope.get('root_path', '')}"

    def admit(self, rules: Sequence[str]) -> None:
        """Raise Unauthorized without a token, and Forbidden unless the first of the route's *rules* allows the request.

        Rules with a target are enforced by the handler.
        """
        self.rules = rules
        if self.caller and not isinstance(rules, OnTarget) and rules[0] != AUTHENTICATED:
            self.enforce(rules[0])

    def allows(self, rule: str, target: Mapping[str, Any] | None = None) -> bool:
        """Return whether *rule* allows *target*, by default an object of the caller and of the caller's project."""
        if target is None:
            target = {"project_id": self.caller.project_id, "user_id": self.caller.user_id}
        key = (rule, *target.items())
        if key not in self.decided:
            self.decided[key] = self.cloud.policies.owning(rule).allows(rule, target, self._credentials)
        return self.decided[key]

    def enforce(self, rule: str, target: Mapping[str, Any] | None = None, *, also: Sequence[str] = ()) -> None:
        """Raise Forbidden, with the service's message, unless *rule* and all of *also* allow *target*."""
        rules = (rule, *also)
        if not all(self.allows(each, target) for each in rules):
            raise Forbidden(self.request.app.state.service.refusal(rules))

    def check_project(self, project_id: str) -> None:
        """Raise BadRequest unless the project exists, if it is not the caller's."""
        if project_id != self.caller.project_id and self.db.get(Project, project_id) is None:
            raise BadRequest(f"Project ID {project_id} is not a valid project.")

    def check_user(self, user_id: str) -> None:
        """Raise BadRequest unless the user exists, if it is not the caller."""
        if user_id != self.caller.user_id and self.db.get(User, user_id) is None:
            raise BadRequest(f"User ID {user_id} is not a valid user.")

    def set_audit_credentials(self, credentials: Credentials) -> None:
        """Set the *credentials* in the audit record: the request had no token, but proved its user."""
        pending = audit.current()
        if pending is not None:
            pending.token = credentials

    def visible(self, kind: type[Row], identifier: str, label: str) -> Row:
        """Return the row *identifier* of *kind* if it belongs to the caller's project, or the caller is an
        administrator.

        Raises NotFound for all other rows, including deleted ones, so that a tenant cannot find other projects' ids.
        """
        row = self.db.get(kind, identifier)
        mine = row is not None and (self.is_admin or getattr(row, "project_id", None) == self.caller.project_id)
        if row is None or not mine or getattr(row, "deleted_at", None) is not None:
            raise NotFound.of(label, identifier)
        return row

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a write transaction for a handler that began by reading. The read transaction ends; its rows stay as
        they were read.
        """
        self.cloud.database.release(self.db)
        with self.cloud.database.write() as session:
            yield session

    def refuse_plan(self, reason: str) -> None:
        """End a planned request with *reason*: for handlers that do more than change records."""
        if isinstance(self.cloud.database, DryRunDatabase):
            self.cloud.database.refuse(reason)
