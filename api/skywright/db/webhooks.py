"""Webhooks, and what is to be delivered to them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_uuid, utcnow


class Webhook(Base):
    """A URL that is told of jobs' ends: those of one project, or of all."""

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
    attempted_at: Mapped[datetime | None]  # whoever waits longest comes first


class Delivery(Base):
    """A job's end on its way to a webhook. States: pending, then delivered or failed."""

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
    # When it is tried next; while it is being tried, when it is thought to be lost.
    next_at: Mapped[datetime] = mapped_column(default=utcnow)
    status: Mapped[int | None]  # what the receiver answered last
    reason: Mapped[str | None] = mapped_column(String(255))  # why the last attempt failed
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None]
