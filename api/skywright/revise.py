"""`python -m skywright.revise MESSAGE` writes the next revision of the database's schema."""

import sys

from skywright.db.migrate import revise
from skywright.services import registry

if __name__ == "__main__":
    registry.load_tables()
    revise(" ".join(sys.argv[1:]))
