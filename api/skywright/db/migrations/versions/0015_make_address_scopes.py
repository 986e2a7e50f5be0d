"""Make a table of address scopes, which subnet pools can be in."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_scope",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_scope")),
    )
    op.create_index(op.f("ix_address_scope_project_id"), "address_scope", ["project_id"])
    op.add_column("subnet_pool", sa.Column("address_scope_id", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_subnet_pool_address_scope_id"), "subnet_pool", ["address_scope_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_subnet_pool_address_scope_id"), "subnet_pool")
    op.drop_column("subnet_pool", "address_scope_id")
    op.drop_table("address_scope")
