"""Add port security and allowed address pairs. Ports that exist keep it off: no guest's traffic changes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in a batch: SQLite would copy the tables, and dropping the old ones would delete what refers to them.
    op.add_column("network", sa.Column("port_security_enabled", sa.Boolean(), nullable=False, server_default="1"))
    op.add_column("port", sa.Column("port_security_enabled", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("port", sa.Column("allowed_address_pairs", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("port", "allowed_address_pairs")
    op.drop_column("port", "port_security_enabled")
    op.drop_column("network", "port_security_enabled")
