"""Make a table of the resource types of metadata definitions, with those that namespaces are for already."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "metadef_resource_type",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metadef_resource_type")),
    )
    op.execute(
        "INSERT INTO metadef_resource_type (name, protected, created_at, updated_at) "
        "SELECT name, false, min(created_at), min(created_at) FROM metadef_item "
        "WHERE kind = 'resource_type_associations' GROUP BY name"
    )


def downgrade() -> None:
    op.drop_table("metadef_resource_type")
