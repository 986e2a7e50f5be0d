"""Add the extra DHCP options of ports."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("port", sa.Column("extra_dhcp_opts", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("port", "extra_dhcp_opts")
