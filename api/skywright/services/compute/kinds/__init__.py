"""The kinds of jobs of this service; workers load them without the web framework."""

from skywright.core import Kind
from skywright.services.compute.kinds.console import ConsoleKind
from skywright.services.compute.kinds.server import ServerKind

KINDS: tuple[Kind, ...] = (ServerKind(), ConsoleKind())
