"""Tables of schedules and of their runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_uuid, utcnow


class Schedule(Base):
    """A request that is repeated at certain times, with the roles that its owner has at that time."""

    __tablename__ = "schedule"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(255))
    project_id: Mapped[str] = mapped_column(String(64), index=True)
    user_id: Mapped[str] = mapped_column(String(64))
    # The delegation of the token that created the schedule limits each of its requests, too.
    trust_id: Mapped[str | None] = mapped_column(String(64))
    application_credential_id: Mapped[str | None] = mapped_column(String(64))
    cron: Mapped[str] = mapped_column(String(255))
    timezone: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))  # request, playbook
    sealed: Mapped[str] = mapped_column(Text)  # the request, encrypted, because it may hold secrets
    shown: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the request without secrets
    paused: Mapped[bool] = mapped_column(default=False)
    next_at: Mapped[datetime | None] = mapped_column(index=True)  # None: paused, or there is no further time
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class ScheduleRun(Base):
    """One time of a schedule. States: running, then accepted (see its jobs) or failed."""

    __tablename__ = "schedule_run"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"), index=True)
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="running", index=True)
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))  # without secrets
    request_id: Mapped[str | None] = mapped_column(String(64))
    jobs: Mapped[list[str]] = mapped_column(default=list)
    started_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    finished_at: Mapped[datetime | None]
