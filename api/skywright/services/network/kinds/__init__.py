"""The kinds of jobs of this service; a worker loads them without the web stack."""

from skywright.core import Kind
from skywright.services.network.kinds.network import NetworkKind

KINDS: tuple[Kind, ...] = (NetworkKind(),)
