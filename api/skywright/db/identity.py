"""Tables of the identity service. Names are unique without regard to case: `name_key` is the casefolded name."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base, new_hex, utcnow
from skywright.db.revision import IdentityMixin


class Domain(IdentityMixin, Base):
    __tablename__ = "domain"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    tokens_valid_after: Mapped[datetime] = mapped_column(default=utcnow)
    tags: Mapped[list[str]] = mapped_column(default=list)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Project(IdentityMixin, Base):
    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("domain_id", "name_key"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    # The id of another project or, at the top, of the domain.
    parent_id: Mapped[str | None] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    tokens_valid_after: Mapped[datetime] = mapped_column(default=utcnow)
    tags: Mapped[list[str]] = mapped_column(default=list)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class User(IdentityMixin, Base):
    __tablename__ = "user"
    __table_args__ = (UniqueConstraint("domain_id", "name_key"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str | None] = mapped_column(String(128))
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    tokens_valid_after: Mapped[datetime] = mapped_column(default=utcnow)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Group(IdentityMixin, Base):
    __tablename__ = "group"
    __table_args__ = (UniqueConstraint("domain_id", "name_key"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class GroupMember(IdentityMixin, Base):
    __tablename__ = "group_member"
    group_id: Mapped[str] = mapped_column(ForeignKey("group.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)


class Role(IdentityMixin, Base):
    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("domain_id", "name_key"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    # "" for a global role: NULL is not compared by the unique constraint.
    domain_id: Mapped[str] = mapped_column(String(64), default="")
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ImpliedRole(IdentityMixin, Base):
    """A user with the prior role also has the implied role."""

    __tablename__ = "implied_role"
    prior_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True)
    implied_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True)


class RoleAssignment(IdentityMixin, Base):
    """A role of an actor (user or group) on a target (project, domain, or the system, whose id is `all`)."""

    __tablename__ = "role_assignment"
    actor_type: Mapped[str] = mapped_column(String(8), primary_key=True)
    actor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    target_type: Mapped[str] = mapped_column(String(8), primary_key=True)
    target_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True)
    # True: the role applies to the projects below the target, not to the target itself.
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)


class RevokedToken(IdentityMixin, Base):
    __tablename__ = "revoked_token"
    audit_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Region(IdentityMixin, Base):
    __tablename__ = "region"
    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_hex)
    parent_region_id: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Service(IdentityMixin, Base):
    __tablename__ = "service"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    type: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Endpoint(IdentityMixin, Base):
    __tablename__ = "endpoint"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    service_id: Mapped[str] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    region_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"))
    interface: Mapped[str] = mapped_column(String(16))
    url: Mapped[str] = mapped_column(String(2048))
    name: Mapped[str | None] = mapped_column(String(255))
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Credential(Base):
    """A secret that a user stores, such as an EC2 key pair; `sealed` is its encrypted blob."""

    __tablename__ = "credential"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(String(255))
    sealed: Mapped[str] = mapped_column(Text(1 << 22))
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Policy(Base):
    """A policy document that other programs store (Keystone's /v3/policies). Skywright does not use it."""

    __tablename__ = "policy"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str] = mapped_column(Text(1 << 22))
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Trust(IdentityMixin, Base):
    """A trust: the trustor delegates roles on one project to the trustee."""

    __tablename__ = "trust"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    trustor_user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    trustee_user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    impersonation: Mapped[bool]
    role_ids: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    remaining_uses: Mapped[int | None]


class ApplicationCredential(IdentityMixin, Base):
    """An application credential: a secret with some roles of a user on one project."""

    __tablename__ = "application_credential"
    __table_args__ = (UniqueConstraint("user_id", "name_key"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    secret_hash: Mapped[str] = mapped_column(String(128))
    role_ids: Mapped[list[str]]
    access_rule_ids: Mapped[list[str] | None]
    unrestricted: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime | None]


class AccessRule(IdentityMixin, Base):
    """A request that application credentials may be limited to: service type, method, path pattern."""

    __tablename__ = "access_rule"
    __table_args__ = (UniqueConstraint("user_id", "service", "method", "path"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    service: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(128))
