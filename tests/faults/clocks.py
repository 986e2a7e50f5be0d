"""Clock jumps for single services of a host, because the lab's hosts share the clock of their machine.

A preloaded library replaces functions of the C library in these services (see clock.c). CLOCK_MONOTONIC is not
affected, as when a real clock is set.
"""

import subprocess
import textwrap
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.hosts import Host

SERVICES = "mariadb skywright-api skywright-worker"
LIBRARY, CLOCK = "/usr/local/lib/faults-clock.so", "/run/faults-clock"
DROP_IN = "/run/systemd/system/$name.service.d/faults-clock.conf"
JUMP = 3600
SECONDS = 120

ATTACH = f"""
    set -e
    echo {0:08} > {CLOCK}
    for name in {SERVICES}; do
        mkdir -p $(dirname {DROP_IN})
        printf '[Service]\\nEnvironment=LD_PRELOAD={LIBRARY}\\n' > {DROP_IN}
    done
    systemctl daemon-reload
    systemctl restart {SERVICES}
"""
DETACH = f"""
    set -e
    for name in {SERVICES}; do rm -f {DROP_IN}; done
    systemctl daemon-reload
    systemctl restart {SERVICES}
    rm {LIBRARY} {CLOCK}
"""


def library() -> bytes:
    with TemporaryDirectory() as directory:
        made = Path(directory) / "clock.so"
        options = ["-O2", "-shared", "-fPIC", f'-DCLOCK="{CLOCK}"']
        subprocess.run(["cc", *options, "-o", made, Path(__file__).with_name("clock.c")], check=True)
        return made.read_bytes()


def attach(host: Host) -> None:
    """Restart the services with a clock of their own, which is right at first."""
    host.run(f"base64 --decode > {LIBRARY} <<'END'\n{b64encode(library()).decode()}\nEND")
    host.run(textwrap.dedent(ATTACH), seconds=SECONDS)


def detach(host: Host) -> None:
    host.run(textwrap.dedent(DETACH), seconds=SECONDS)


def jump(host: Host, seconds: int) -> None:
    """Set the clock ahead by so many seconds. The file is changed in place, because it is mapped."""
    host.run(f"printf {seconds:08} 1<> {CLOCK}")
