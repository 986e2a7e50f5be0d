"""Flavors, keypairs, servers, quotas."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_uuid, utcnow


class Flavor(Base):
    __tablename__ = "flavor"
    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    vcpus: Mapped[int]
    ram_mib: Mapped[int]
    disk_gib: Mapped[int]
    ephemeral_gib: Mapped[int] = mapped_column(default=0)
    swap_mib: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    extra_specs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class FlavorAccess(Base):
    __tablename__ = "flavor_access"
    flavor_id: Mapped[str] = mapped_column(ForeignKey("flavor.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class Keypair(Base):
    __tablename__ = "keypair"
    __table_args__ = (UniqueConstraint("user_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(8), default="ssh")
    public_key: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


# Statuses of servers that are as their users want them, and of those that have booted once, perhaps.
SETTLED = ("ACTIVE", "SHUTOFF")
BOOTED = (*SETTLED, "ERROR")


class Server(Base):
    """A server: desired state (`power`, `boot_id`, sizes) and observed status (`status`, `power_state`, `fault`)."""

    __tablename__ = "server"
    __table_args__ = (Index("ix_server_project_created", "project_id", "created_at", "id"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(String(255))
    # The flavor as it was when the server was made: {id, name, vcpus, ram, disk, ephemeral, swap, extra_specs}.
    flavor: Mapped[dict[str, Any]]
    # What the server takes from its host; `disk_gib` is the image's size where the flavor says 0.
    vcpus: Mapped[int]
    ram_mib: Mapped[int]
    disk_gib: Mapped[int]
    image_id: Mapped[str | None] = mapped_column(String(36))
    key_name: Mapped[str | None] = mapped_column(String(255))
    public_key: Mapped[str | None] = mapped_column(Text)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the API's "metadata"
    tags: Mapped[list[str]] = mapped_column(default=list)
    user_data: Mapped[str | None] = mapped_column(Text)
    admin_pass: Mapped[str | None] = mapped_column(String(255))  # for the config drive, and for nothing else
    config_drive: Mapped[bool] = mapped_column(default=True)
    # What its config drive says beside user data and password: {meta_data, network_data}, as it was written last, and
    # as a job writes it that has not ended yet.
    drive: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    next_drive: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    hostname: Mapped[str] = mapped_column(String(255), default="")
    access_ipv4: Mapped[str] = mapped_column(String(64), default="")
    access_ipv6: Mapped[str] = mapped_column(String(64), default="")
    disk_config: Mapped[str] = mapped_column(String(8), default="MANUAL")
    reservation_id: Mapped[str] = mapped_column(String(16), default="")
    launch_index: Mapped[int] = mapped_column(default=0)
    availability_zone: Mapped[str | None] = mapped_column(String(255))
    architecture: Mapped[str | None] = mapped_column(String(32))  # of hosts that its image runs on; None: any
    wanted_host: Mapped[str | None] = mapped_column(String(255))  # an administrator's az:host or `host`
    host: Mapped[str | None] = mapped_column(String(255), index=True)
    # Desired: running or shutoff; a boot_id that differs from the domain's wants a reboot of kind `reboot`.
    power: Mapped[str] = mapped_column(String(8), default="running")
    boot_id: Mapped[str] = mapped_column(String(36), default=new_uuid)
    reboot: Mapped[str] = mapped_column(String(4), default="hard")
    # Observed.
    status: Mapped[str] = mapped_column(String(16), default="BUILD")
    task_state: Mapped[str | None] = mapped_column(String(32), default="scheduling")
    power_state: Mapped[int] = mapped_column(default=0)  # Nova's numbers: 0 none, 1 running, 4 shut down
    fault: Mapped[dict[str, Any] | None]
    kept_ports: Mapped[list[str]] = mapped_column(default=list)  # ports that the user brought: they outlive the server
    locked_by: Mapped[str | None] = mapped_column(String(8))  # owner or admin; NULL: not locked
    locked_reason: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
    launched_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None] = mapped_column(index=True)


class QuotaLimit(Base):
    """A limit that an administrator set for a project; the project "" holds the defaults of all others."""

    __tablename__ = "quota_limit"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int]
