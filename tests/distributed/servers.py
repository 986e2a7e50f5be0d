"""Temporary servers from Debian's packages: a MariaDB and a RabbitMQ that end with the process that started them."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine, text

START_SECONDS = 40.0
SHARE = Path("/usr/share/mysql")
# Prefix of commands: the process is killed when the thread that started it ends for any reason.
ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until *condition* holds; AssertionError if it does not in time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"timeout: {what}"
        time.sleep(0.05)


class Server:
    """One server process on 127.0.0.1 with its files in *directory*."""

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self, *, wait: bool = True) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ENDS_WITH_PARENT, *self.command()],
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until the server answers."""
        wait_for(self.answers, START_SECONDS, f"{self.name}; see {self.directory / 'log'}")

    def answers(self) -> bool:
        """Whether the server sends its greeting."""
        assert self._process is None or self._process.poll() is None, f"{self.name} ended: {self.directory / 'log'}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class MariaDb(Server):
    """A MariaDB without privilege checks, durable as in production."""

    name = "mariadbd"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "data").mkdir()
        # Like mariadb-install-db, which is not in the server's package.
        script = ["CREATE DATABASE mysql;", "USE mysql;"]
        script += [(SHARE / f"mysql_system_tables{part}.sql").read_text() for part in ("", "_data")]
        command = [*self.command(), "--bootstrap"]
        subprocess.run(command, input="\n".join(script).encode(), check=True, capture_output=True, cwd=directory)

    def command(self) -> list[str]:
        return [
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={self.directory}/data",
            "--user=root",
            "--socket=mariadb.sock",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-grant-tables",
            "--skip-networking=0",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=64M",
            "--max-connections=300",
        ]

    @property
    def server_url(self) -> str:
        return f"mariadb+pymysql://root@127.0.0.1:{self.port}"

    def url(self, database: str) -> str:
        """Return the URL of *database*, which is created if it does not exist."""
        engine = create_engine(self.server_url)
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE IF NOT EXISTS `{database}`"))
        engine.dispose()
        return f"{self.server_url}/{database}"


class RabbitMq(Server):
    """A RabbitMQ node with its own name, cookie and port mapper."""

    name = "rabbitmq-server"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._distribution, self._mapper_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        (directory / "enabled_plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> list[str]:
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.directory),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.directory / "generated"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RUNNING_UNDER_SYSTEMD": "true",  # one process, without a shell as parent
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    @property
    def node(self) -> str:
        return f"skywright{self.port}@localhost"

    def evaluate_file(self, file: Path) -> str:
        """Return the JSON result of the Erlang code in *file*, evaluated by rabbitmqctl."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", "--node", self.node, "eval_file", str(file)]
        result = subprocess.run(
            [*command, "--formatter", "json"], check=True, env=self.environment(), capture_output=True, text=True
        )
        return result.stdout

    def start(self, *, wait: bool = True) -> None:
        if self._mapper is None:
            command = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = subprocess.Popen([*ENDS_WITH_PARENT, *command])
        super().start(wait=wait)

    def remove(self) -> None:
        super().remove()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
