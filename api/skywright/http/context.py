"""The context of one request: who asks, under which transaction, with which rights."""

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
        """What the job engine needs of the cloud."""
        return self.cloud

    @property
    def who(self) -> Credentials:
        """The caller; Unauthorized if the request brought no valid token."""
        if self.token is None:
            raise Unauthorized()
        return self.token

    @property
    def project_id(self) -> str:
        """The project that the token is scoped to; Forbidden for tokens of another scope."""
        if self.who.project_id is None:
            raise Forbidden("This operation needs a token scoped to a project.")
        return self.who.project_id

    @cached_property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator by the service's policy."""
        service = self.request.app.state.service
        return self.cloud.policies.of(service.type).allows(service.admin, {}, self.who.for_policy())

    @cached_property
    def _credentials(self) -> dict[str, Any]:
        return self.who.for_policy() | {"is_admin": self.is_admin}

    @property
    def base_url(self) -> str:
        """The service's URL as the client reached it, without a slash at the end."""
        url = self.request.url
        return f"{url.scheme}://{url.netloc}{self.request.scope.get('root_path', '')}"

    def admit(self, rules: Sequence[str]) -> None:
        """Unauthorized without a token, Forbidden unless the first of the route's *rules* allows the request.

        Rules on a target are left to the handler.
        """
        self.rules = rules
        if self.who and not isinstance(rules, OnTarget) and rules[0] != AUTHENTICATED:
            self.enforce(rules[0])

    def allows(self, rule: str, target: Mapping[str, Any] | None = None) -> bool:
        """Whether the caller passes *rule* on *target* (default: what is the caller's and of the caller's project)."""
        if target is None:
            target = {"project_id": self.who.project_id, "user_id": self.who.user_id}
        key = (rule, *target.items())
        if key not in self.decided:
            self.decided[key] = self.cloud.policies.owning(rule).allows(rule, target, self._credentials)
        return self.decided[key]

    def enforce(self, rule: str, target: Mapping[str, Any] | None = None, *, also: Sequence[str] = ()) -> None:
        """Forbidden, in the service's words, unless the caller passes *rule* and all of *also* on *target*."""
        rules = (rule, *also)
        if not all(self.allows(each, target) for each in rules):
            raise Forbidden(self.request.app.state.service.refusal(rules))

    def check_project(self, project_id: str) -> None:
        """BadRequest unless the project exists, for requests that name another project than the caller's."""
        if project_id != self.who.project_id and self.db.get(Project, project_id) is None:
            raise BadRequest(f"Project ID {project_id} is not a valid project.")

    def check_user(self, user_id: str) -> None:
        """BadRequest unless the user exists, for requests that name another user than the caller."""
        if user_id != self.who.user_id and self.db.get(User, user_id) is None:
            raise BadRequest(f"User ID {user_id} is not a valid user.")

    def acts_as(self, credentials: Credentials) -> None:
        """The audit trail shall name *credentials*: the request came without a token and proved who it is."""
        pending = audit.current()
        if pending is not None:
            pending.token = credentials

    def visible(self, kind: type[Row], identifier: str, label: str) -> Row:
        """The row *identifier* of *kind* if it is the caller's project's, or the caller is an administrator.

        Everything else, deleted rows too, is NotFound: a tenant cannot tell another's resource from none.
        """
        row = self.db.get(kind, identifier)
        mine = row is not None and (self.is_admin or getattr(row, "project_id", None) == self.who.project_id)
        if row is None or not mine or getattr(row, "deleted_at", None) is not None:
            raise NotFound.of(label, identifier)
        return row

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A writing transaction of its own, for a handler that began by reading: that is over, its rows are as read."""
        self.cloud.database.release(self.db)
        with self.cloud.database.write() as session:
            yield session

    def refuse_plan(self, reason: str) -> None:
        """End the request, with *reason*, if it is only planned: for handlers that do more than change records."""
        if isinstance(self.cloud.database, DryRunDatabase):
            self.cloud.database.refuse(reason)
