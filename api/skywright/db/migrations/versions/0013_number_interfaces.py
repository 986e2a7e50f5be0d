"""Number the interfaces of servers: ports that exist keep the order of their creation."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("port") as batch:
        batch.add_column(sa.Column("device_index", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("port") as batch:
        batch.drop_column("device_index")
