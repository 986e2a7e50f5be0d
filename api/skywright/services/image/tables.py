"""Tables of images. Their data is in the image store, one file for each image."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skywright.db.base import Base, new_uuid, utcnow

# The statuses of images with data; only administrators may read the data of a deactivated image.
WITH_DATA = ("active", "deactivated")


class Image(Base):
    """An image. Hosts cache its data by id, so an id is never reused: a deleted image keeps its row."""

    __tablename__ = "image"
    __table_args__ = (Index("ix_image_created_at_id", "created_at", "id"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(30), default="queued")
    visibility: Mapped[str] = mapped_column(String(10), default="shared")
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None] = mapped_column(String(20))
    container_format: Mapped[str | None] = mapped_column(String(20))
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None] = mapped_column(String(32))
    os_hash_algo: Mapped[str | None] = mapped_column(String(16))
    os_hash_value: Mapped[str | None] = mapped_column(String(128))
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Metadata of staged data that waits for its import: size, checksum...
    staged: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
    deleted_at: Mapped[datetime | None]
    tag_rows: Mapped[list["ImageTag"]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ImageTag.value"
    )

    @property
    def tags(self) -> list[str]:
        return [row.value for row in self.tag_rows]

    @tags.setter
    def tags(self, values: list[str]) -> None:
        kept = {row.value: row for row in self.tag_rows}
        self.tag_rows = [kept.get(value) or ImageTag(value=value) for value in sorted(set(values))]


class ImageTag(Base):
    __tablename__ = "image_tag"
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str] = mapped_column(String(255), primary_key=True)


class ImageMember(Base):
    """A project with which an image is shared. Lists of the project contain the image after it was accepted."""

    __tablename__ = "image_member"
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")  # accepted, rejected
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)


class ImageTask(Base):
    """An import of staged data: its request and its outcome."""

    __tablename__ = "image_task"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    request: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))  # success, failure
    message: Mapped[str] = mapped_column(String(1024), default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class MetadefNamespace(Base):
    """A namespace of metadata definitions for images and other resources."""

    __tablename__ = "metadef_namespace"
    namespace: Mapped[str] = mapped_column(String(80), primary_key=True)
    project_id: Mapped[str | None] = mapped_column(String(255))
    display_name: Mapped[str | None] = mapped_column(String(80))
    description: Mapped[str | None] = mapped_column(String(500))
    visibility: Mapped[str] = mapped_column(String(10), default="private")
    protected: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)


class MetadefResourceType(Base):
    """A type of resources that namespaces apply to. Those of OpenStack's services are protected."""

    __tablename__ = "metadef_resource_type"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    protected: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)


class MetadefItem(Base):
    """An item of a namespace: an object, property, tag, or the association with a resource type."""

    __tablename__ = "metadef_item"
    namespace: Mapped[str] = mapped_column(
        ForeignKey("metadef_namespace.namespace", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
