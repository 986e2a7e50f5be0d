"""Tables of QoS policies."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skywright.db.base import Base, new_uuid, utcnow
from skywright.services.network.tables import Shareable, Standard


class QosPolicy(Standard, Shareable, Base):
    """Rules that limit and mark what ports send and get."""

    __tablename__ = "qos_policy"
    # The project whose new networks get this policy; NULL: none. The constraint ignores NULL.
    default_of: Mapped[str | None] = mapped_column(String(64), unique=True)
    rules: Mapped[list["QosRule"]] = relationship(
        cascade="all, delete-orphan", order_by="QosRule.created_at, QosRule.id", back_populates="policy"
    )


class QosRule(Base):
    """A rule of a policy. The meaning of `value` and `burst` is that of the rule's type, see `qos_rule_types`."""

    __tablename__ = "qos_rule"
    __table_args__ = (UniqueConstraint("policy_id", "type", "direction"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    policy_id: Mapped[str] = mapped_column(ForeignKey("qos_policy.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(32))
    direction: Mapped[str] = mapped_column(String(8), default="")  # "" in types without directions
    value: Mapped[int]
    burst: Mapped[int] = mapped_column(default=0)
    policy: Mapped[QosPolicy] = relationship(back_populates="rules")
