"""Make tables of QoS policies and their rules, which ports and networks can have."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "qos_policy",
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qos_policy")),
        sa.UniqueConstraint("default_of", name=op.f("uq_qos_policy_default_of")),
    )
    op.create_index(op.f("ix_qos_policy_project_id"), "qos_policy", ["project_id"])
    op.create_table(
        "qos_rule",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("policy_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["qos_policy.id"], name=op.f("fk_qos_rule_policy_id_qos_policy"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qos_rule")),
        sa.UniqueConstraint("policy_id", "type", "direction", name=op.f("uq_qos_rule_policy_id")),
    )
    # Not in a batch: SQLite would copy the tables, and dropping the old ones would delete what refers to them.
    for table in ("network", "port"):
        op.add_column(table, sa.Column("qos_policy_id", sa.String(length=36), nullable=True))
        op.create_index(op.f(f"ix_{table}_qos_policy_id"), table, ["qos_policy_id"])


def downgrade() -> None:
    for table in ("port", "network"):
        op.drop_index(op.f(f"ix_{table}_qos_policy_id"), table)
        op.drop_column(table, "qos_policy_id")
    op.drop_table("qos_rule")
    op.drop_table("qos_policy")
