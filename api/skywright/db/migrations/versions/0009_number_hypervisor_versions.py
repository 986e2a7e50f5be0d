"""Keep the versions of hosts' hypervisors as numbers, as hosts send them now: 7.2.22 is 7002022."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HOST = sa.table("host", sa.column("name", sa.String), sa.column("info", sa.JSON))


def upgrade() -> None:
    for name, info in op.get_bind().execute(sa.select(HOST.c.name, HOST.c.info)).all():
        version = (info or {}).get("hypervisor_version")
        if isinstance(version, str):
            major, minor, release = (int(part) for part in version.split("."))
            _store(name, info | {"hypervisor_version": major * 1000000 + minor * 1000 + release})


def downgrade() -> None:
    for name, info in op.get_bind().execute(sa.select(HOST.c.name, HOST.c.info)).all():
        version = (info or {}).get("hypervisor_version")
        if isinstance(version, int):
            text = f"{version // 1000000}.{version // 1000 % 1000}.{version % 1000}"
            _store(name, info | {"hypervisor_version": text})


def _store(name: str, info: dict[str, object]) -> None:
    op.execute(sa.update(HOST).where(HOST.c.name == name).values(info=info))
