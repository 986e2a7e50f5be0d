"""Tables for operators: audit trail, heartbeats of workers, and tallies of removed rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Integer, String, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from skywright.db.base import Base, utcnow


class Audit(Base):
    """One request that changed or tried to change something. Append-only; only retention removes rows."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_project_sequence", "project_id", "sequence"),)
    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    user_id: Mapped[str | None] = mapped_column(String(64), index=True)
    user_name: Mapped[str | None] = mapped_column(String(255))
    project_id: Mapped[str | None] = mapped_column(String(64))
    token_audit_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    service: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(1024))
    body: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))  # selected fields, see skywright.redact
    status: Mapped[int]
    jobs: Mapped[list[str]] = mapped_column(default=list)


class Heartbeat(Base):
    """The last sign of life of a worker."""

    __tablename__ = "heartbeat"
    worker: Mapped[str] = mapped_column(String(255), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    runs: Mapped[int] = mapped_column(default=0)


class Tally(Base):
    """Sums over the rows that retention removed. With the rows that are left, they give counters that only grow."""

    __tablename__ = "tally"
    metric: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[float] = mapped_column(Float, default=0.0)


_REMOVAL = "allow_audit_removal"


def allow_audit_removal(session: Session) -> None:
    """Allow *session* to remove audit records. Only for retention."""
    session.info[_REMOVAL] = True


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: Any, _instances: Any) -> None:
    if any(isinstance(row, Audit) for row in (*session.dirty, *session.deleted)):
        raise RuntimeError("The audit trail is append-only.")


@event.listens_for(Session, "do_orm_execute")
def _do_orm_execute(state: ORMExecuteState) -> None:
    if not (state.is_update or state.is_delete):
        return
    mapper = state.bind_mapper
    allowed = state.is_delete and state.session.info.get(_REMOVAL)
    if mapper is not None and issubclass(mapper.class_, Audit) and not allowed:
        raise RuntimeError("The audit trail is append-only.")
