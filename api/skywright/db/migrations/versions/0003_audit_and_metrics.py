"""Add the audit trail, workers' heartbeats, and what metrics count of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("user_name", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("token_audit_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit") as batch:
        batch.create_index(batch.f("ix_audit_at"), ["at"])
        batch.create_index("ix_audit_project_sequence", ["project_id", "sequence"])
        batch.create_index(batch.f("ix_audit_user_id"), ["user_id"])
    op.create_table(
        "heartbeat",
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "tally",
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("metric", "label", name=op.f("pk_tally")),
    )
    with op.batch_alter_table("job") as batch:
        batch.create_index("ix_job_playbook_state", ["playbook", "state"])
    with op.batch_alter_table("run") as batch:
        batch.add_column(sa.Column("seconds", sa.Float(), nullable=True))
        batch.add_column(sa.Column("events", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("failures", sa.JSON(none_as_null=True), nullable=True))
        batch.create_index(batch.f("ix_run_started_at"), ["started_at"])
