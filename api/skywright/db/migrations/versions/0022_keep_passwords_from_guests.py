"""Add the encrypted passwords that guests send to the metadata service."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("server", sa.Column("encrypted_password", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("server", "encrypted_password")
