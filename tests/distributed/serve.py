"""`python serve.py PORT`: the API alone, with the settings of the environment."""

import socket
import sys

from skywright.app import create_app
from skywright.db.migrate import upgrade
from skywright.http.server import Server
from skywright.settings import load

if __name__ == "__main__":
    settings = load()
    upgrade(settings.database_url)
    Server(create_app(settings)).run(sockets=[socket.create_server(("127.0.0.1", int(sys.argv[1])))])
