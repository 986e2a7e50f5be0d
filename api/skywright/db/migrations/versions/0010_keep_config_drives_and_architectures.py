"""Keep what servers' config drives say, and architectures."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("server", schema=None) as batch_op:
        batch_op.add_column(sa.Column("drive", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("next_drive", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("architecture", sa.String(length=32), nullable=True))
    with op.batch_alter_table("host", schema=None) as batch_op:
        batch_op.add_column(sa.Column("architecture", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("host", schema=None) as batch_op:
        batch_op.drop_column("architecture")
    with op.batch_alter_table("server", schema=None) as batch_op:
        batch_op.drop_column("architecture")
        batch_op.drop_column("next_drive")
        batch_op.drop_column("drive")
