"""Make tables of routers, floating IPs and port forwardings; networks can be external."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "router",
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("enable_snat", sa.Boolean(), nullable=False),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        *_described(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router")),
    )
    op.create_index(op.f("ix_router_host"), "router", ["host"])
    op.create_index(op.f("ix_router_project_id"), "router", ["project_id"])
    op.create_table(
        "floating_ip",
        sa.Column("floating_network_id", sa.String(length=36), nullable=False),
        sa.Column("floating_port_id", sa.String(length=36), nullable=False),
        sa.Column("floating_ip_address", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.Column("fixed_ip_address", sa.String(length=64), nullable=True),
        sa.Column("router_id", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        *_described(),
        sa.ForeignKeyConstraint(
            ["floating_network_id"], ["network.id"], name=op.f("fk_floating_ip_floating_network_id_network")
        ),
        sa.ForeignKeyConstraint(["floating_port_id"], ["port.id"], name=op.f("fk_floating_ip_floating_port_id_port")),
        sa.ForeignKeyConstraint(["port_id"], ["port.id"], name=op.f("fk_floating_ip_port_id_port")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_floating_ip_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floating_ip")),
        sa.UniqueConstraint(
            "floating_network_id", "port_id", "fixed_ip_address", name=op.f("uq_floating_ip_floating_network_id")
        ),
    )
    for column in (
        "floating_ip_address",
        "floating_network_id",
        "floating_port_id",
        "port_id",
        "project_id",
        "router_id",
    ):
        op.create_index(op.f(f"ix_floating_ip_{column}"), "floating_ip", [column])
    op.create_table(
        "port_forwarding",
        sa.Column("floating_ip_id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("external_port_min", sa.Integer(), nullable=False),
        sa.Column("external_port_max", sa.Integer(), nullable=False),
        sa.Column("internal_port_id", sa.String(length=36), nullable=False),
        sa.Column("internal_ip_address", sa.String(length=64), nullable=False),
        sa.Column("internal_port_min", sa.Integer(), nullable=False),
        sa.Column("internal_port_max", sa.Integer(), nullable=False),
        *_owned(),
        sa.ForeignKeyConstraint(
            ["floating_ip_id"],
            ["floating_ip.id"],
            name=op.f("fk_port_forwarding_floating_ip_id_floating_ip"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["internal_port_id"], ["port.id"], name=op.f("fk_port_forwarding_internal_port_id_port")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_port_forwarding")),
    )
    for column in ("floating_ip_id", "internal_port_id", "project_id"):
        op.create_index(op.f(f"ix_port_forwarding_{column}"), "port_forwarding", [column])
    # Not in a batch: SQLite would copy the table, and dropping the old one would delete what refers to it.
    op.add_column("network", sa.Column("external", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("network", sa.Column("is_default", sa.Boolean(), nullable=False, server_default="0"))
    with op.batch_alter_table("rbac_policy") as batch:
        batch.add_column(sa.Column("action", sa.String(length=32), nullable=False, server_default="access_as_shared"))
        batch.drop_constraint(op.f("uq_rbac_policy_object_id"), type_="unique")
        batch.create_unique_constraint(op.f("uq_rbac_policy_object_id"), ["object_id", "target_project", "action"])


def downgrade() -> None:
    policies = sa.table("rbac_policy", sa.column("action"))
    op.execute(policies.delete().where(policies.c.action != "access_as_shared"))
    with op.batch_alter_table("rbac_policy") as batch:
        batch.drop_constraint(op.f("uq_rbac_policy_object_id"), type_="unique")
        batch.create_unique_constraint(op.f("uq_rbac_policy_object_id"), ["object_id", "target_project"])
        batch.drop_column("action")
    op.drop_column("network", "is_default")
    op.drop_column("network", "external")
    for table in ("port_forwarding", "floating_ip", "router"):
        op.drop_table(table)


def _owned() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    ]


def _described() -> list[sa.Column[object]]:
    return [
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        *_owned(),
    ]
