"""The kinds of jobs of this service; workers load them without the web framework."""

from skywright.core import Kind
from skywright.services.image.kinds.image import ImageKind

KINDS: tuple[Kind, ...] = (ImageKind(),)
