"""Tables of hosts, jobs, runs and events."""

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from skywright.db.base import Base, new_uuid, utcnow
from skywright.db.changes import ChangeNumberMixin
from skywright.db.host_facts import HostFacts

# The group of the hosts of overclouds. They carry no servers and networks of this cloud.
OVERCLOUD = "overcloud"
NULL_LIBVIRT = "test:///default"
# States of jobs, and conditions of hosts.
UNFINISHED = ("queued", "running")
Finished = Literal["successful", "failed", "canceled", "error"]
FINISHED: tuple[Finished, ...] = get_args(Finished)
MAINTENANCE, QUARANTINED = "maintenance", "quarantined"


class Host(Base):
    """A host of the inventory. `groups` and `variables` are the inventory's; its capacity is observed."""

    __tablename__ = "host"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    groups: Mapped[list[str]] = mapped_column(default=list)
    variables: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Set by operators: enabled, disabled (no new servers) or maintenance (jobs wait, too); see `condition`.
    state: Mapped[str] = mapped_column(String(16), default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(String(255))
    up: Mapped[bool] = mapped_column(default=True)
    # Of an unreachable host: failures in a row, the time of the first one, the reason, and the next attempt.
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    failed_at: Mapped[datetime | None]
    unreachable: Mapped[str | None] = mapped_column(Text)
    retry_at: Mapped[datetime | None]
    quarantined_at: Mapped[datetime | None]
    # Runs that ended but may have left processes: the next run on this host ends them first.
    unended_runs: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    vcpus: Mapped[int] = mapped_column(default=0)
    memory_mib: Mapped[int] = mapped_column(default=0)
    disk_gib: Mapped[int] = mapped_column(default=0)
    architecture: Mapped[str | None] = mapped_column(String(32))  # of guests, such as x86_64
    info: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the last result of host_info: read and set `facts`
    observed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    @property
    def facts(self) -> HostFacts:
        """Return the facts of the last observation."""
        return HostFacts.model_validate(self.info or {})

    @facts.setter
    def facts(self, facts: HostFacts) -> None:
        self.info = facts.model_dump(exclude={"contents"})
        self.vcpus, self.memory_mib, self.disk_gib = facts.vcpus or 0, facts.memory_mib or 0, facts.disk_gib or 0
        self.architecture = facts.cpu_info.arch if facts.cpu_info and not self.is_null else None

    @property
    def condition(self) -> str:
        """Return `state`, or `quarantined` if the host failed too often.

        Maintenance takes precedence over quarantine.
        """
        return QUARANTINED if self.quarantined_at and self.state != MAINTENANCE else self.state

    @property
    def is_closed(self) -> bool:
        """Return whether the host is in maintenance or quarantined, so that jobs wait for it."""
        return self.condition in (MAINTENANCE, QUARANTINED)

    def observed_since(self, moment: datetime) -> bool:
        """Return whether an observation succeeded at *moment* or later."""
        return self.observed_at is not None and self.observed_at >= moment

    @property
    def is_null(self) -> bool:
        """Return whether its hypervisor is libvirt's test driver, which has no taps, tunnels and disks."""
        return bool((self.variables or {}).get("hypervisor_libvirt_uri") == NULL_LIBVIRT)

    @property
    def in_overcloud(self) -> bool:
        """Return whether the host is part of an overcloud, so that nothing on it belongs to this cloud."""
        return OVERCLOUD in (self.groups or ())  # a new row has none yet


class Job(ChangeNumberMixin, Base):
    """An operation on resources. States: queued, running, then successful, failed, canceled or error."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_state_created", "state", "sequence"),
        Index("ix_job_playbook_state", "playbook", "state"),
    )
    untracked_columns = frozenset({"lease_until", "run_id"})
    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    playbook: Mapped[str] = mapped_column(String(64))  # playbooks/cloud/<playbook>.yml
    action: Mapped[str] = mapped_column(String(64))  # create, delete, stop...
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    waiting_for: Mapped[str | None] = mapped_column(Text)
    waiting_since: Mapped[datetime | None] = mapped_column(default=utcnow)
    not_before: Mapped[datetime | None]
    # The unreachable host that the job waits for; put_off: attempts that ended because a host was unreachable.
    held_by: Mapped[str | None] = mapped_column(String(255), index=True)
    held_since: Mapped[datetime | None]
    put_off: Mapped[int] = mapped_column(default=0, server_default="0")
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())  # by an operator: do not wait for hosts
    priority: Mapped[int] = mapped_column(default=0, server_default="0")  # set by operators; higher first
    undoing: Mapped[bool] = mapped_column(default=False, server_default=false())  # canceled: rendered as absent
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[datetime | None]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("run.id"), index=True)
    # [[host, item id]] whose results decide the job. They also select the events of a run that a tenant may see.
    items: Mapped[list[Any]] = mapped_column(default=list)
    cancel_requested_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    user_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    resources: Mapped[list["JobResource"]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="JobResource.resource_id"
    )

    def change_order(self) -> tuple[int, int]:
        return 1, self.sequence or 0  # after the events of its run


class JobResource(Base):
    """A resource of a job. Unfinished jobs of one resource run one after another, in the order of their submission."""

    __tablename__ = "job_resource"
    job_sequence: Mapped[int] = mapped_column(ForeignKey("job.sequence", ondelete="CASCADE"), primary_key=True)
    resource_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    resource_id: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)


class Run(Base):
    """One execution of ansible-runner, for one or many merged jobs."""

    __tablename__ = "run"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    playbook: Mapped[str] = mapped_column(String(64))
    worker: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), default="running")  # successful, failed, canceled, error
    hosts: Mapped[list[str]] = mapped_column(default=list)
    # Tasks that began, and how many the last run of the playbook had: the progress.
    steps_done: Mapped[int] = mapped_column(default=0)
    steps_total: Mapped[int] = mapped_column(default=0)
    task: Mapped[str | None] = mapped_column(String(255))  # the last one that began
    rc: Mapped[int | None]
    started_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    finished_at: Mapped[datetime | None]
    # Metrics read these columns, so that a scrape does not read events.
    seconds: Mapped[float | None] = mapped_column(Float)
    events: Mapped[int] = mapped_column(default=0, server_default="0")
    failures: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # {host: failed tasks}

    @validates("finished_at")
    def _set_seconds(self, _name: str, moment: datetime | None) -> datetime | None:
        self.seconds = (moment - (self.started_at or moment)).total_seconds() if moment else None
        return moment


class Event(ChangeNumberMixin, Base):
    """One event of a run, in ansible-runner's order."""

    __tablename__ = "event"
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    counter: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(64))
    host: Mapped[str | None] = mapped_column(String(255))
    task: Mapped[str | None] = mapped_column(String(255))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    def change_order(self) -> tuple[int, int]:
        return 0, self.counter
