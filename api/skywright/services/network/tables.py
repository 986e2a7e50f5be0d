"""Tables of networks, subnets, ports and addresses."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, foreign, mapped_column, relationship

from skywright.db.base import Base, new_uuid, utcnow


class Owned:
    """The columns that all resources of this service have."""

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    project_id: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Described(Owned):
    """The columns of resources with Neutron's standard attributes."""

    description: Mapped[str] = mapped_column(String(255), default="")
    revision_number: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)


class Standard(Described):
    """The columns of resources with standard attributes and a name."""

    name: Mapped[str] = mapped_column(String(255), default="")


class RbacPolicy(Owned, Base):
    """A project, or all projects (`*`), may use an object: as its owner, or a network only as an external one."""

    __tablename__ = "rbac_policy"
    __table_args__ = (UniqueConstraint("object_id", "target_project", "action"),)
    object_type: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(36))
    target_project: Mapped[str] = mapped_column(String(64), index=True)
    action: Mapped[str] = mapped_column(String(32), default="access_as_shared")


class Shareable(Owned):
    """A resource that RBAC policies share with other projects."""

    @declared_attr
    def rbac_policies(cls) -> Mapped[list[RbacPolicy]]:
        return relationship(
            primaryjoin=lambda: foreign(RbacPolicy.object_id) == cls.id,
            cascade="all, delete-orphan",
            overlaps="rbac_policies",
        )


class Network(Standard, Shareable, Base):
    """A layer-2 network. `deleted_at` is set while its last job removes it from hosts; the API no longer shows it."""

    __tablename__ = "network"
    # A segment belongs to one network. "" and 0 mean none: the constraint would ignore NULL. Local networks have
    # different negative numbers.
    __table_args__ = (UniqueConstraint("type", "physical_network", "segmentation_id"),)
    type: Mapped[str] = mapped_column(String(8), default="vxlan")
    physical_network: Mapped[str] = mapped_column(String(64), default="")
    segmentation_id: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(16), default="ACTIVE")
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    port_security_enabled: Mapped[bool] = mapped_column(default=True)  # the default for new ports
    mtu: Mapped[int] = mapped_column(default=1450)
    dns_domain: Mapped[str] = mapped_column(String(255), default="")
    external: Mapped[bool] = mapped_column(default=False)  # routers have gateways there
    is_default: Mapped[bool] = mapped_column(default=False)  # the external network for users who name none
    qos_policy_id: Mapped[str | None] = mapped_column(String(36), index=True)  # no foreign key: see `SubnetPool`
    deleted_at: Mapped[datetime | None]
    subnets: Mapped[list["Subnet"]] = relationship(order_by="Subnet.created_at", viewonly=True)

    @property
    def segment(self) -> int | None:
        """The id of the tunnel or VLAN."""
        return self.segmentation_id if self.segmentation_id > 0 else None


class SegmentRange(Standard, Base):
    """A range of ids of segments. The `project_id` is "" if all projects share it."""

    __tablename__ = "network_segment_range"
    network_type: Mapped[str] = mapped_column(String(8))
    physical_network: Mapped[str] = mapped_column(String(64), default="")
    minimum: Mapped[int]
    maximum: Mapped[int]
    is_default: Mapped[bool] = mapped_column(default=False)  # one of the settings


class NetworkHost(Base):
    """A network may be on a host: a run was told to create it there."""

    __tablename__ = "network_host"
    network_id: Mapped[str] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True)


class AddressScope(Shareable, Base):
    """Subnet pools with different prefixes."""

    __tablename__ = "address_scope"
    name: Mapped[str] = mapped_column(String(255), default="")
    ip_version: Mapped[int]


class SubnetPool(Standard, Shareable, Base):
    """Prefixes from which subnets are allocated."""

    __tablename__ = "subnet_pool"
    prefixes: Mapped[list[str]] = mapped_column(default=list)
    ip_version: Mapped[int] = mapped_column(default=4)
    default_prefixlen: Mapped[int]
    min_prefixlen: Mapped[int]
    max_prefixlen: Mapped[int]
    default_quota: Mapped[int | None]
    # No foreign key: SQLite cannot add one to a table that others refer to.
    address_scope_id: Mapped[str | None] = mapped_column(String(36), index=True)
    is_default: Mapped[bool] = mapped_column(default=False)


class Subnet(Standard, Base):
    __tablename__ = "subnet"
    network_id: Mapped[str] = mapped_column(ForeignKey("network.id"), index=True)
    subnetpool_id: Mapped[str | None] = mapped_column(ForeignKey("subnet_pool.id"), index=True)
    ip_version: Mapped[int] = mapped_column(default=4)
    cidr: Mapped[str] = mapped_column(String(64))
    gateway_ip: Mapped[str | None] = mapped_column(String(64))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    dns_nameservers: Mapped[list[str]] = mapped_column(default=list)
    allocation_pools: Mapped[list[Any]] = mapped_column(default=list)
    host_routes: Mapped[list[Any]] = mapped_column(default=list)
    # The last allocated address: the next search starts after it.
    cursor: Mapped[str | None] = mapped_column(String(64))
    network: Mapped[Network] = relationship(lazy="select")


class Port(Standard, Base):
    """A port. The port of a network's DHCP server has the owner `network:dhcp` and is bound to its network host."""

    __tablename__ = "port"
    __table_args__ = (UniqueConstraint("network_id", "mac_address"),)
    network_id: Mapped[str] = mapped_column(ForeignKey("network.id"), index=True)
    mac_address: Mapped[str] = mapped_column(String(17))
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(String(16), default="DOWN")
    device_id: Mapped[str] = mapped_column(String(255), default="", index=True)
    device_owner: Mapped[str] = mapped_column(String(255), default="")
    device_index: Mapped[int] = mapped_column(default=0)  # the position among the interfaces of its server
    # The name of the host where the port is; "" if it is on no host.
    host: Mapped[str] = mapped_column(String(255), default="", index=True)
    vnic_type: Mapped[str] = mapped_column(String(64), default="normal")
    binding_profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Whether frames with other source addresses than the port's and its allowed address pairs are dropped.
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    # [{"mac_address", "ip_address": an address or CIDR}], in the notation of the request
    allowed_address_pairs: Mapped[list[Any]] = mapped_column(default=list)
    dns_name: Mapped[str] = mapped_column(String(255), default="")
    dns_domain: Mapped[str] = mapped_column(String(255), default="")  # "": that of the network
    # [{"opt_name", "opt_value", "ip_version"}]
    extra_dhcp_opts: Mapped[list[Any]] = mapped_column(default=list)
    qos_policy_id: Mapped[str | None] = mapped_column(String(36), index=True)  # no foreign key: see `SubnetPool`
    network: Mapped[Network] = relationship(lazy="select")
    addresses: Mapped[list["Address"]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="Address.ip_address"
    )


# The order of the interfaces of a server, which is that of the request that created it.
INTERFACE_ORDER = (Port.device_index, Port.created_at, Port.id)


class Address(Base):
    """An allocated address. The primary key prevents a concurrent second allocation."""

    __tablename__ = "address"
    subnet_id: Mapped[str] = mapped_column(ForeignKey("subnet.id"), primary_key=True)
    ip_address: Mapped[str] = mapped_column(String(64), primary_key=True)
    port_id: Mapped[str] = mapped_column(ForeignKey("port.id", ondelete="CASCADE"), index=True)


class NetworkTag(Base):
    """A tag of a resource."""

    __tablename__ = "network_tag"
    resource_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tag: Mapped[str] = mapped_column(String(255), primary_key=True)


class NetworkQuota(Base):
    """A project's limit that differs from the default."""

    __tablename__ = "network_quota"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(String(32), primary_key=True)
    limit: Mapped[int]
