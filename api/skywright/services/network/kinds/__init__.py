"""The kinds of jobs of this service; workers load them without the web framework."""

from skywright.core import Kind
from skywright.services.network.kinds.network import NetworkKind
from skywright.services.network.kinds.router import RouterKind

KINDS: tuple[Kind, ...] = (RouterKind(), NetworkKind())
