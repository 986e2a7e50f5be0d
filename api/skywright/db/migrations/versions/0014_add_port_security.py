"""Add port security and allowed address pairs. Ports that exist keep it off: no guest's traffic changes."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("network") as batch:
        batch.add_column(sa.Column("port_security_enabled", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("port") as batch:
        batch.add_column(sa.Column("port_security_enabled", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(
            sa.Column("allowed_address_pairs", sa.JSON(), nullable=False, server_default=sa.text("('[]')"))
        )


def downgrade() -> None:
    with op.batch_alter_table("port") as batch:
        batch.drop_column("allowed_address_pairs")
        batch.drop_column("port_security_enabled")
    with op.batch_alter_table("network") as batch:
        batch.drop_column("port_security_enabled")
