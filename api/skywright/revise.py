"""`python -m skywright.revise MESSAGE` writes the next Alembic revision of the database schema."""

import sys

from skywright.db.migrate import revise
from skywright.services import registry

if __name__ == "__main__":
    registry.load_tables()
    revise(" ".join(sys.argv[1:]))
