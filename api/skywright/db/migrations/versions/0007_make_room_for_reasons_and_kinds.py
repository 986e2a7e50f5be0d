"""Make room for reasons and kinds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as batch:
        batch.alter_column("waiting_for", existing_type=sa.String(length=255), type_=sa.Text(), existing_nullable=True)
    with op.batch_alter_table("metadef_item") as batch:
        batch.alter_column(
            "kind", existing_type=sa.String(length=16), type_=sa.String(length=32), existing_nullable=False
        )
