"""Tables of routers, floating IPs and port forwardings. Interfaces of routers are ports: see `router_ports`."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skywright.db.base import Base
from skywright.services.network.tables import Described, Network, Owned, Port, Standard


class Router(Standard, Base):
    """A router. `deleted_at` is set while its last job removes it from its host; the API no longer shows it."""

    __tablename__ = "router"
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(String(16), default="ACTIVE")
    # Whether packets to the external network get the router's address as their source.
    enable_snat: Mapped[bool] = mapped_column(default=True)
    routes: Mapped[list[Any]] = mapped_column(default=list)  # [{"destination", "nexthop"}]
    # The network host where it is, or will be; "" if it has no interface and no gateway.
    host: Mapped[str] = mapped_column(String(255), default="", index=True)
    deleted_at: Mapped[datetime | None]


class FloatingIp(Described, Base):
    """An address of an external network. Its own port reserves it; `port` is the port that it leads to."""

    __tablename__ = "floating_ip"
    # A fixed address has one floating IP of each external network. The constraint ignores NULL.
    __table_args__ = (UniqueConstraint("floating_network_id", "port_id", "fixed_ip_address"),)
    floating_network_id: Mapped[str] = mapped_column(ForeignKey("network.id"), index=True)
    floating_port_id: Mapped[str] = mapped_column(ForeignKey("port.id"), index=True)
    floating_ip_address: Mapped[str] = mapped_column(String(64), index=True)
    port_id: Mapped[str | None] = mapped_column(ForeignKey("port.id"), index=True)
    fixed_ip_address: Mapped[str | None] = mapped_column(String(64))
    router_id: Mapped[str | None] = mapped_column(ForeignKey("router.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), default="DOWN")
    network: Mapped[Network] = relationship(lazy="select")
    port: Mapped[Port | None] = relationship(lazy="select", foreign_keys=[port_id])
    port_forwardings: Mapped[list["PortForwarding"]] = relationship(
        cascade="all, delete-orphan",
        lazy="selectin",
        order_by="PortForwarding.created_at",
        back_populates="floating_ip",
    )


class PortForwarding(Owned, Base):
    """Ports of a floating IP that lead to ports of a fixed address: equally many, or all to one."""

    __tablename__ = "port_forwarding"
    floating_ip_id: Mapped[str] = mapped_column(ForeignKey("floating_ip.id", ondelete="CASCADE"), index=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    protocol: Mapped[str] = mapped_column(String(8))
    external_port_min: Mapped[int]
    external_port_max: Mapped[int]
    internal_port_id: Mapped[str] = mapped_column(ForeignKey("port.id"), index=True)
    internal_ip_address: Mapped[str] = mapped_column(String(64))
    internal_port_min: Mapped[int]
    internal_port_max: Mapped[int]
    floating_ip: Mapped[FloatingIp] = relationship(lazy="select", back_populates="port_forwardings")
