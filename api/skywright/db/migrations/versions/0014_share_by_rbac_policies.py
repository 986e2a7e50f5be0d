"""Make a table of RBAC policies, with one for each network and subnet pool that is shared with all projects."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# The API's types, and their tables.
TYPES = {"network": "network", "subnetpool": "subnet_pool"}
POLICIES = sa.table(
    "rbac_policy",
    sa.column("id", sa.String),
    sa.column("project_id", sa.String),
    sa.column("created_at", sa.DateTime),
    sa.column("object_type", sa.String),
    sa.column("object_id", sa.String),
    sa.column("target_project", sa.String),
)


def upgrade() -> None:
    op.create_table(
        "rbac_policy",
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("target_project", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rbac_policy")),
        sa.UniqueConstraint("object_id", "target_project", name=op.f("uq_rbac_policy_object_id")),
    )
    op.create_index(op.f("ix_rbac_policy_project_id"), "rbac_policy", ["project_id"])
    op.create_index(op.f("ix_rbac_policy_target_project"), "rbac_policy", ["target_project"])
    for kind, name in TYPES.items():
        _make_policies(kind, name)
        # Not in a batch: SQLite would copy the table, and the old one cannot be dropped while others refer to it.
        op.drop_column(name, "shared")


def downgrade() -> None:
    for kind, name in TYPES.items():
        op.add_column(name, sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()))
        table = sa.table(name, sa.column("id"), sa.column("shared", sa.Boolean))
        everyone = sa.select(POLICIES.c.object_id).where(
            POLICIES.c.object_type == kind, POLICIES.c.target_project == "*"
        )
        op.execute(table.update().where(table.c.id.in_(everyone)).values(shared=True))
    op.drop_table("rbac_policy")


def _make_policies(kind: str, name: str) -> None:
    table = sa.table(
        name, sa.column("id"), sa.column("project_id"), sa.column("created_at", sa.DateTime), sa.column("shared")
    )
    rows = op.get_bind().execute(sa.select(table).where(table.c.shared == sa.true())).all()
    op.bulk_insert(
        POLICIES,
        [
            {
                "id": str(uuid.uuid4()),
                "project_id": row.project_id,
                "created_at": row.created_at,
                "object_type": kind,
                "object_id": row.id,
                "target_project": "*",
            }
            for row in rows
        ],
    )
