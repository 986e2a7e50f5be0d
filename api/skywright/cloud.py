"""The cloud as one object: settings, database, tokens, policy. Every part is handed this, none reaches for globals."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from skywright.auth.tokens import Tokens
from skywright.db import Database
from skywright.http.context import Credentials
from skywright.http.policy import Policy
from skywright.jobs.queue import LocalQueue, Queue
from skywright.settings import Settings


class Cloud:
    """What a request or a worker needs."""

    def __init__(self, settings: Settings, rules: Mapping[str, str] | None = None) -> None:
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.database = Database(settings.database_url)
        self.tokens = Tokens(settings.key_dir / "tokens")
        self.policy = Policy(rules or {}, settings.root / "policy.yaml")
        self.queue: Queue = LocalQueue(settings.root / "worker.sock")

    def authenticate(self, session: Session, token: str | None) -> Credentials | None:
        """The credentials behind an X-Auth-Token header; None without a valid one."""
        return self.tokens.validate(session, token)
