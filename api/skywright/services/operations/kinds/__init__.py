"""The kinds of jobs of this service; workers load them without the web framework."""

from skywright.core import Kind
from skywright.services.operations.kinds.host import HostKind
from skywright.services.operations.kinds.operator_playbook import OperatorKind
from skywright.services.operations.overcloud.kind import OVERCLOUD_KINDS

KINDS: tuple[Kind, ...] = (HostKind(), OperatorKind(), *OVERCLOUD_KINDS)
