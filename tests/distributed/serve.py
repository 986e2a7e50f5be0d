"""`python serve.py PORT`: the API alone, with the settings of the environment."""

import sys

import uvicorn

from skywright.app import create_app
from skywright.db.migrate import upgrade
from skywright.settings import load

if __name__ == "__main__":
    settings = load()
    upgrade(settings.database_url)
    uvicorn.run(create_app(settings), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
