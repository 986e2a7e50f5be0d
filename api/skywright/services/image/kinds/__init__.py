"""The kinds of jobs of this service; a worker loads them without the web stack."""

from skywright.core import Kind
from skywright.services.image.kinds.image import ImageKind

KINDS: tuple[Kind, ...] = (ImageKind(),)
