"""Add the DNS names of ports, and the DNS domains of networks and ports."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

COLUMNS = (("network", "dns_domain"), ("port", "dns_name"), ("port", "dns_domain"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.String(255), nullable=False, server_default=""))


def downgrade() -> None:
    for table, column in COLUMNS:
        op.drop_column(table, column)
