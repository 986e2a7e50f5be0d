"""Settings: environment variables `SKYWRIGHT_*`, or `skywright.env` in the state directory, over sane defaults."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PORT = 8000  # of the API: all services by their paths


class Settings(BaseSettings):
    """Everything an operator may set. Paths are relative to the working directory, the checkout's root."""

    model_config = SettingsConfigDict(env_prefix="SKYWRIGHT_")

    state_dir: Path = Field(Path("var"), description="Directory of the database, images, keys and runs.")
    database: str = Field("", description="URL, mariadb://USER:PASSWORD@HOST/NAME; empty: SQLite in state_dir.")
    broker: str = Field("", description="RabbitMQ's URL, amqp://USER:PASSWORD@HOST//; empty: workers of this machine.")
    listen: str = Field("127.0.0.1", description="Comma-separated addresses that the API listens on.")
    port: int = Field(PORT, description="Port of the unified layout (/identity, /compute, ...).")
    worker: bool = Field(True, description="Whether `skywright serve` keeps a worker beside the API.")
    peers: str = Field(
        "",
        description="Comma-separated URLs of the other controllers' APIs, http://10.0.0.2:8000: they keep images, too.",
    )
    virtual_address: str = Field(
        "", description="The address that one controller has at a time; with it, /metrics/controller tells how this is."
    )
    classic_ports: bool = Field(True, description="Also listen on every service's own port (`skywright services`).")
    public_url: str = Field(f"http://127.0.0.1:{PORT}", description="Base URL in the catalog, as clients see it.")
    region: str = "RegionOne"
    token_seconds: int = 3600 * 6
    max_body_bytes: int = Field(1 << 20, description="Largest request body, image data excepted.")
    max_image_bytes: int = Field(64 << 30, description="Largest image that an upload may store.")
    overcommit_vcpus: float = Field(16.0, gt=0, description="How many times its vCPUs a host offers to servers.")
    overcommit_memory: float = Field(1.0, gt=0, description="How many times its memory a host offers to servers.")
    overcommit_disk: float = Field(1.0, gt=0, description="How many times its disk a host offers, by virtual size.")
    project_dir: Path = Field(
        Path(__file__).parents[2], description="The checkout: where ansible.cfg, playbooks and roles are."
    )
    novnc: Path | None = Field(
        None, description="Directory of noVNC's pages; by default .novnc in project_dir, or /usr/share/novnc."
    )
    consoles: int = Field(64, ge=0, description="How many consoles of servers a process of the API has open at most.")
    observe_seconds: int = Field(60, ge=0, description="How often the worker looks at the hosts; 0: never.")
    quarantine_failures: int = Field(3, ge=1, description="So many failures in a row to reach a host quarantine it.")
    unreachable_seconds: int = Field(900, ge=0, description="How long a user's job waits for a host that is silent.")
    run_seconds: float = Field(7200, gt=0, description="How long a run may take; then it is ended, and its jobs fail.")
    operator_playbooks: Path = Field(
        Path("playbooks/operator"), description="Directory of an operator's own playbooks, in project_dir or absolute."
    )
    webhook_networks: str = Field("", description="Comma-separated networks that are not public, yet have webhooks.")
    keep_runs_days: float = Field(30, gt=0, description="How long runs are kept, with their records.")
    keep_runs: int = Field(10_000, ge=1, description="How many runs are kept.")
    keep_events_days: float = Field(14, gt=0, description="How long the events of runs are kept.")
    keep_events: int = Field(1_000_000, ge=1, description="How many events are kept.")
    keep_audit_days: float = Field(365, gt=0, description="How long the audit trail and jobs that ended are kept.")
    keep_audit: int = Field(1_000_000, ge=1, description="How many audit records are kept.")
    retention_seconds: float = Field(60.0, gt=0, description="How often a worker looks for what need not be kept.")
    lease_seconds: float = Field(
        30.0, ge=5, description="How long a worker may be silent before others run its jobs again; the same for all."
    )
    workers_sweep_seconds: float = Field(5.0, description="How often a worker looks without being told.")

    @cached_property
    def root(self) -> Path:
        """The state directory, absolute."""
        return self.state_dir.resolve()

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.root / 'skywright.db'}"

    @property
    def image_dir(self) -> Path:
        return self.root / "images" / "store"

    @property
    def key_dir(self) -> Path:
        return self.root / "keys"

    @property
    def run_dir(self) -> Path:
        return self.root / "runs"

    @property
    def operator_dir(self) -> Path:
        return self.project_dir.resolve() / self.operator_playbooks

    @property
    def console_pages(self) -> Path:
        fetched = self.project_dir / ".novnc"
        return self.novnc or (fetched if fetched.is_dir() else Path("/usr/share/novnc"))

    @property
    def webhook_network_list(self) -> list[IPv4Network | IPv6Network]:
        return [ip_network(text.strip()) for text in self.webhook_networks.split(",") if text.strip()]

    @property
    def peer_urls(self) -> list[str]:
        return [url.strip().rstrip("/") for url in self.peers.split(",") if url.strip()]

    @property
    def listen_addresses(self) -> list[str]:
        return [address.strip() for address in self.listen.split(",") if address.strip()]


def load() -> Settings:
    """The settings of the environment, and below them those of `<state_dir>/skywright.env`."""
    return Settings(_env_file=Settings().root / "skywright.env")
