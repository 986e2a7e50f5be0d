"""Facts of a host: the result of the module `host_info`, which documents each field.

Jobs of the kind `host` validate each result with this model before `Host.info` stores it, and all readers of facts use
the model. A field that the module does not send, or sends with another type, is an error.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

T = TypeVar("T")
# Fields that `skywright.jobs.engine.results` adds to a result.
ENVELOPE = frozenset({"host", "module", "id", "changed"})


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Domain(_Facts):
    """A libvirt domain of a server; `reason` says why a domain that is shut off does not run."""

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


class ContentsUnknown(Exception):
    """A host did not report its contents of a kind."""


class Mark(_Facts):
    """An object on a host with the cloud's marks; `id` is the id of its item. Kinds have models with more fields."""

    id: str


class HostFacts(_Facts):
    """Facts of one host. A field is None if the host was not observed yet or could not read it (see `errors`)."""

    vcpus: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    disk_free_gib: int | None = None
    disk_overcommit_gib: int | None = None
    libvirt_version: str | None = None
    hypervisor_type: str | None = None
    hypervisor_version: int | None = None  # in libvirt's format: 7002022 is 7.2.22
    cpu_info: CpuInfo | None = None
    domains: list[Domain] | None = None
    ovs_version: str | None = None
    boot: str | None = None
    uptime: str | None = None
    address: str | None = None
    errors: list[str] = []
    # {kind on hosts: [marks]}, only on demand; None in place of a list that could not be read.
    contents: dict[str, list[Any] | None] | None = None

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Self:
        """Return the facts in *result*, an item of `host_info`.

        Raises pydantic's ValidationError if it is not valid.
        """
        return cls.model_validate({key: value for key, value in result.items() if key not in ENVELOPE})

    def marks(self, kind: str, model: type[T]) -> list[T]:
        """Return the marks of *kind*; raise ContentsUnknown if they were not reported, or ValidationError."""
        found = (self.contents or {}).get(kind)
        if found is None:
            raise ContentsUnknown(kind)
        return TypeAdapter(list[model]).validate_python(found)  # type: ignore[valid-type]
