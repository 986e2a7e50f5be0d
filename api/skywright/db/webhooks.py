"""Tables of webhooks and of their deliveries."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_uuid, utcnow


class Webhook(Base):
    """A URL that gets a notification when jobs end: those of one project, or all."""

    __tablename__ = "webhook"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)  # None: all projects
    user_id: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(255), default="")
    url: Mapped[str] = mapped_column(Text)
    states: Mapped[list[str]] = mapped_column(default=list)
    playbooks: Mapped[list[str]] = mapped_column(default=list)  # empty: all
    sealed_secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    attempted_at: Mapped[datetime | None]  # the webhook whose last attempt is the oldest comes first


class Delivery(Base):
    """The notification of one job's end to one webhook. States: pending, then delivered or failed."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_state_next_at", "state", "next_at"),
        Index("ix_webhook_delivery_webhook_id_created_at", "webhook_id", "created_at"),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(String(36))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    # The time of the next attempt; during an attempt, the time after which it counts as lost.
    next_at: Mapped[datetime] = mapped_column(default=utcnow)
    status: Mapped[int | None]  # of the receiver's last response
    reason: Mapped[str | None] = mapped_column(String(255))  # why the last attempt failed
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None]
