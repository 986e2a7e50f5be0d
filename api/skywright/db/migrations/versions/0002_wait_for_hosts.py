"""Wait for hosts

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("host") as batch:
        batch.add_column(sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("failed_at", sa.DateTime(), nullable=True))
        batch.add_column(sa.Column("unreachable", sa.Text(), nullable=True))
        batch.add_column(sa.Column("retry_at", sa.DateTime(), nullable=True))
        batch.add_column(sa.Column("quarantined_at", sa.DateTime(), nullable=True))
    with op.batch_alter_table("job") as batch:
        batch.add_column(sa.Column("held_by", sa.String(length=255), nullable=True))
        batch.add_column(sa.Column("held_since", sa.DateTime(), nullable=True))
        batch.add_column(sa.Column("put_off", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("forced", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.create_index(batch.f("ix_job_held_by"), ["held_by"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("job") as batch:
        batch.drop_index(batch.f("ix_job_held_by"))
        for name in ("held_by", "held_since", "put_off", "forced"):
            batch.drop_column(name)
    with op.batch_alter_table("host") as batch:
        for name in ("failures", "failed_at", "unreachable", "retry_at", "quarantined_at"):
            batch.drop_column(name)
