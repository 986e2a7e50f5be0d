"""What a host says of itself: the answer of the module `host_info`, which documents each field.

Jobs of the kind `host` check each answer against this model before `Host.info` keeps it; everything that reads facts
reads them from the model. A field that the module does not send, or sends in another type, is an error.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

T = TypeVar("T")
# What `skywright.jobs.engine.results` adds to an answer.
ENVELOPE = frozenset({"host", "module", "id", "changed"})


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Domain(_Facts):
    """A server's domain; `reason` says why one that is shut off does not run."""

    id: str
    power: Literal["running", "paused", "shutoff", "crashed"]
    reason: str | None


class Topology(_Facts):
    cells: int
    sockets: int
    cores: int
    threads: int


class PhysicalAddress(_Facts):
    mode: str
    bits: int


class CpuInfo(_Facts):
    """The host's processors, with the fields of Nova's `cpu_info`."""

    arch: str
    model: str | None
    vendor: str | None
    topology: Topology
    maxphysaddr: PhysicalAddress | None
    features: list[str]


class Unread(Exception):
    """A host did not say what it has of a kind."""


class Mark(_Facts):
    """Something on a host that carries the cloud's marks; `id` is its item's. Kinds have models with more fields."""

    id: str


class HostFacts(_Facts):
    """Facts of one host. None: not known, because the host was not looked at yet or could not read it (`errors`)."""

    vcpus: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    disk_free_gib: int | None = None
    disk_overcommit_gib: int | None = None
    libvirt_version: str | None = None
    hypervisor_type: str | None = None
    hypervisor_version: int | None = None  # as libvirt tells it: 7002022 is 7.2.22
    cpu_info: CpuInfo | None = None
    domains: list[Domain] | None = None
    ovs_version: str | None = None
    boot: str | None = None
    uptime: str | None = None
    errors: list[str] = []
    # {kind on hosts: [marks]}, only if it was asked for; None in place of a list: it could not be read
    contents: dict[str, list[Any] | None] | None = None

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Self:
        """The facts in *result*, an item's result of `host_info`; pydantic's ValidationError if it does not fit."""
        return cls.model_validate({key: value for key, value in result.items() if key not in ENVELOPE})

    def marks(self, kind: str, model: type[T]) -> list[T]:
        """What carries the marks of *kind*; Unread if that is not known, pydantic's error if it does not fit."""
        found = (self.contents or {}).get(kind)
        if found is None:
            raise Unread(kind)
        return TypeAdapter(list[model]).validate_python(found)  # type: ignore[valid-type]
