"""Notes."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_uuid


class Note(Base):
    """A text that a host keeps."""

    __tablename__ = "note"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    project_id: Mapped[str] = mapped_column(String(64), index=True)
    host: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="BUILD")
