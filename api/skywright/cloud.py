"""The cloud as one object: settings, database, tokens, policy. Every part is handed this, none reaches for globals."""

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from skywright.db import Database
from skywright.db.rehearsal import Rehearsal
from skywright.jobs.queue import Queue, make_queue
from skywright.settings import Settings

if TYPE_CHECKING:
    from skywright.app import Gateway
    from skywright.auth.keyring import Keyring
    from skywright.auth.tokens import Tokens
    from skywright.http.context import Credentials
    from skywright.http.policy import Policy
    from skywright.jobs.planner import Planner

# ruff: noqa: PLC0415 - a worker has a Cloud too, but must stay small: no FastAPI, no oslo


class Cloud:
    """What a request or a worker needs."""

    def __init__(self, settings: Settings, rules: Mapping[str, str] | None = None) -> None:
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.database = Database(settings.database_url)
        self.queue: Queue = make_queue(settings.broker, settings.root / "workers")
        self._rules = rules or {}
        self.gateway: Gateway | None = None  # the API itself, for requests that are planned

    @cached_property
    def tokens(self) -> "Tokens":
        from skywright.auth.tokens import Tokens

        return Tokens(self.settings.key_dir / "tokens")

    @cached_property
    def secrets(self) -> "Keyring":
        """What encrypts the secrets that users keep in the database."""
        from skywright.auth.keyring import Keyring

        return Keyring(self.settings.key_dir / "credentials")

    @cached_property
    def policy(self) -> "Policy":
        from skywright.http.policy import Policy

        return Policy(self._rules, self.settings.root / "policy.yaml")

    @cached_property
    def planner(self) -> "Planner":
        from skywright.jobs.planner import Planner

        return Planner(self.settings)

    def rehearsed(self, rehearsal: Rehearsal) -> "Cloud":
        """This cloud with *rehearsal* as its database."""
        cloud = copy(self)
        cloud.database = rehearsal
        return cloud

    def authenticate(self, session: Session, token: str | None) -> "Credentials | None":
        """The credentials behind an X-Auth-Token header; None without a valid one."""
        return self.tokens.validate(session, token)
