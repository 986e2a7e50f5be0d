"""The table of overclouds: clouds that this cloud deploys and manages."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, utcnow


class Overcloud(Base):
    """A highly available cloud. States: planned, deploying, deployed, failed, deleting."""

    __tablename__ = "overcloud"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default="planned")
    plan: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # The last status: {host: report}.
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    observed_at: Mapped[datetime | None]
    deployed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
