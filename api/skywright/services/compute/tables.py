"""Tables of flavors, key pairs, servers and quotas."""

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


# Statuses of servers in their desired state, and of servers that may have booted.
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
    # The flavor at the creation of the server: {id, name, vcpus, ram, disk, ephemeral, swap, extra_specs}.
    flavor: Mapped[dict[str, Any]]
    # The host's resources that the server uses; `disk_gib` is the image's size if the flavor's disk is 0.
    vcpus: Mapped[int]
    ram_mib: Mapped[int]
    disk_gib: Mapped[int]
    image_id: Mapped[str | None] = mapped_column(String(36))
    key_name: Mapped[str | None] = mapped_column(String(255))
    public_key: Mapped[str | None] = mapped_column(Text)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the API's "metadata"
    tags: Mapped[list[str]] = mapped_column(default=list)
    user_data: Mapped[str | None] = mapped_column(Text)
    admin_pass: Mapped[str | None] = mapped_column(String(255))  # only for the config drive
    encrypted_password: Mapped[str | None] = mapped_column(Text)  # that the guest sent to the metadata service
    config_drive: Mapped[bool] = mapped_column(default=True)
    # {meta_data, network_data} of the config drive: as written last, and as an unfinished job writes it.
    drive: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    next_drive: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    hostname: Mapped[str] = mapped_column(String(255), default="")
    access_ipv4: Mapped[str] = mapped_column(String(64), default="")
    access_ipv6: Mapped[str] = mapped_column(String(64), default="")
    disk_config: Mapped[str] = mapped_column(String(8), default="MANUAL")
    reservation_id: Mapped[str] = mapped_column(String(16), default="")
    launch_index: Mapped[int] = mapped_column(default=0)
    availability_zone: Mapped[str | None] = mapped_column(String(255))
    architecture: Mapped[str | None] = mapped_column(String(32))  # of its image: hosts must have it; None: any
    wanted_host: Mapped[str | None] = mapped_column(String(255))  # `zone:host` or `host`, requested by an administrator
    host: Mapped[str | None] = mapped_column(String(255), index=True)
    # Desired state: running or shutoff. A boot_id that differs from the domain's requests a reboot of type `reboot`.
    power: Mapped[str] = mapped_column(String(8), default="running")
    boot_id: Mapped[str] = mapped_column(String(36), default=new_uuid)
    reboot: Mapped[str] = mapped_column(String(4), default="hard")
    # Observed state.
    status: Mapped[str] = mapped_column(String(16), default="BUILD")
    task_state: Mapped[str | None] = mapped_column(String(32), default="scheduling")
    power_state: Mapped[int] = mapped_column(default=0)  # Nova's power states: 0 none, 1 running, 4 shut down
    fault: Mapped[dict[str, Any] | None]
    kept_ports: Mapped[list[str]] = mapped_column(
        default=list
    )  # ports that the user created; they are not deleted with the server
    locked_by: Mapped[str | None] = mapped_column(String(8))  # owner or admin; NULL: not locked
    locked_reason: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
    launched_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None] = mapped_column(index=True)


class QuotaLimit(Base):
    """A limit of a project, set by an administrator. The project "" has the defaults."""

    __tablename__ = "quota_limit"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int]
