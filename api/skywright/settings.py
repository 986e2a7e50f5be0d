"""Settings: environment variables `SKYWRIGHT_*`, else `skywright.env` in the state directory, else defaults."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PORT = 8000  # of the API with all services


class Settings(BaseSettings):
    """All settings of an operator. Relative paths start in the working directory, which is the root of the checkout."""

    model_config = SettingsConfigDict(env_prefix="SKYWRIGHT_")

    state_dir: Path = Field(Path("var"), description="Directory of the database, images, keys and runs.")
    database: str = Field("", description="URL, mariadb://USER:PASSWORD@HOST/NAME; empty: SQLite in state_dir.")
    broker: str = Field("", description="URL of RabbitMQ, amqp://USER:PASSWORD@HOST//; empty: one machine.")
    listen: str = Field("127.0.0.1", description="Comma-separated addresses that the API listens on.")
    port: int = Field(PORT, description="Port of the unified layout (/identity, /compute, ...).")
    worker: bool = Field(True, description="Whether `skywright serve` runs a worker, too.")
    peers: str = Field(
        "",
        description="Comma-separated URLs of the APIs of the other controllers, which replicate images: http://10.0.0.2:8000.",
    )
    virtual_address: str = Field(
        "", description="Virtual address of the controllers; if set, /metrics/controller exists."
    )
    classic_ports: bool = Field(True, description="Also listen on the services' classic ports (`skywright services`).")
    public_url: str = Field(f"http://127.0.0.1:{PORT}", description="Base URL in the catalog, as clients see it.")
    region: str = "RegionOne"
    token_seconds: int = 3600 * 6
    max_body_bytes: int = Field(1 << 20, description="Largest request body, except image data.")
    max_image_bytes: int = Field(64 << 30, description="Largest image of an upload.")
    overcommit_vcpus: float = Field(16.0, gt=0, description="Allocation ratio of a host's vCPUs.")
    overcommit_memory: float = Field(1.0, gt=0, description="Allocation ratio of a host's memory.")
    overcommit_disk: float = Field(1.0, gt=0, description="Allocation ratio of a host's disk, for virtual sizes.")
    vxlan_ranges: str = Field("", description="Comma-separated ranges of VNIs for new networks, 1000:1999; empty: all.")
    gre_ranges: str = Field("", description="Comma-separated ranges of GRE keys for new networks; empty: all.")
    vlan_ranges: str = Field(
        "",
        description="Comma-separated ranges of VLAN ids for new networks, physnet1:100:199; without one: all.",
    )
    project_dir: Path = Field(
        Path(__file__).parents[2], description="The checkout: where ansible.cfg, playbooks and roles are."
    )
    novnc: Path | None = Field(
        None, description="Directory of noVNC's pages; by default .novnc in project_dir, or /usr/share/novnc."
    )
    consoles: int = Field(64, ge=0, description="Most open consoles of one API process.")
    observe_seconds: int = Field(60, ge=0, description="Interval of the observation of hosts; 0: never.")
    quarantine_failures: int = Field(3, ge=1, description="A host is quarantined after this many failed runs in a row.")
    unreachable_seconds: int = Field(900, ge=0, description="How long a user's job waits for an unreachable host.")
    run_seconds: float = Field(7200, gt=0, description="Time limit of a run; it is killed then, and its job fails.")
    operator_playbooks: Path = Field(
        Path("playbooks/operator"), description="Directory of an operator's own playbooks, in project_dir or absolute."
    )
    webhook_networks: str = Field("", description="Comma-separated private networks that webhooks may use.")
    keep_runs_days: float = Field(30, gt=0, description="Retention of runs and their records.")
    keep_runs: int = Field(10_000, ge=1, description="Most runs that are kept.")
    keep_events_days: float = Field(14, gt=0, description="Retention of events of runs.")
    keep_events: int = Field(1_000_000, ge=1, description="Most events that are kept.")
    keep_audit_days: float = Field(365, gt=0, description="Retention of audit records and of jobs that ended.")
    keep_audit: int = Field(1_000_000, ge=1, description="Most audit records that are kept.")
    retention_seconds: float = Field(60.0, gt=0, description="Interval of retention in a worker.")
    lease_seconds: float = Field(
        30.0, ge=5, description="How long a worker's jobs stay its own without a renewal; the same on all machines."
    )
    workers_sweep_seconds: float = Field(5.0, description="Interval at which a worker polls the database.")

    @cached_property
    def root(self) -> Path:
        """Return the absolute path of the state directory."""
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
    """Load the settings from the environment and from `<state_dir>/skywright.env`."""
    return Settings(_env_file=Settings().root / "skywright.env")
