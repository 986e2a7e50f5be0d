"""What requests need: the core, tokens, policy, and plans."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.auth.policy import Policies
from skywright.auth.tokens import Tokens
from skywright.core import Core, Kind
from skywright.settings import Settings

if TYPE_CHECKING:
    from skywright.jobs.runs.planner import Planner

Message = MutableMapping[str, Any]


class Gateway(Protocol):
    """The API itself, an ASGI application, for requests from within this process."""

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Return the path prefix of each service, by service type."""
        ...

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the classic port of each service that has one, by service type."""
        ...

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None: ...


class Cloud(Core):
    """The core of an API process. *rules* are the default policy rules of each service, by service type."""

    def __init__(
        self, settings: Settings, kinds: Iterable[Kind] = (), rules: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        super().__init__(settings, kinds)
        self._rules = rules or {}
        self.gateway: Gateway | None = None

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.settings.key_dir / "tokens")

    @cached_property
    def policies(self) -> Policies:
        return Policies(self._rules, self.settings.root)

    @cached_property
    def planner(self) -> "Planner":
        from skywright.jobs.runs.planner import Planner  # noqa: PLC0415 - loads ansible-runner, at the first plan

        return Planner(self.settings)

    def authenticate(self, session: Session, token: str | None) -> Credentials | None:
        """Return the credentials of an X-Auth-Token header, or None if the token is not valid."""
        return self.tokens.validate(session, token)
