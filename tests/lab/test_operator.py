"""The included operator playbook on a real host: it reports package updates, and installs them on request."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import Host, Lab, eventually

JOB_SECONDS = 90
PACKAGE = "skywright-lab-dummy"
# Version 1 of an empty package is installed; version 2 is in a test repository, which is the only one in use.
MAKE = f"""
set -e
mkdir -p /srv/dummy && cd /srv/dummy
for version in 1 2; do
  mkdir -p $version/DEBIAN
  printf 'Package: {PACKAGE}\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab\\nDescription: none\\n' \\
    $version > $version/DEBIAN/control
  dpkg-deb --build $version {PACKAGE}_$version.deb
done
dpkg -i {PACKAGE}_1.deb
(cat 2/DEBIAN/control; echo "Filename: ./{PACKAGE}_2.deb"; echo "Size: $(stat -c %s {PACKAGE}_2.deb)"
 echo "SHA256: $(sha256sum {PACKAGE}_2.deb | cut -d' ' -f1)") > Packages
echo 'deb [trusted=yes] file:/srv/dummy ./' > /etc/apt/sources.list.d/dummy.list
apt-get update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/dummy.list -o Dir::Etc::sourceparts=-
"""
REMOVE = f"""
dpkg --purge {PACKAGE}
rm -rf /srv/dummy /etc/apt/sources.list.d/dummy.list /var/lib/apt/lists/_srv_dummy*
"""


@pytest.fixture
def outdated(lab: Lab) -> Iterator[Host]:
    host = lab["host1"]
    host.run(MAKE)
    yield host
    host.run(REMOVE)


def run(cloud: Connection, **variables: Any) -> str:
    """Return the playbook's report for host1."""
    url = cloud.session.get_endpoint(service_type="operations", interface="public")
    body = {"variables": {"refresh": False, **variables}, "hosts": ["host1"]}
    job = cloud.session.post(f"{url}/playbooks/package_updates/run", json=body).json()["job"]

    def ended() -> Any:
        found = cloud.session.get(f"{url}/jobs/{job['id']}").json()["job"]
        return found if found["finished_at"] else None

    job = eventually(ended, JOB_SECONDS, "the job ends")
    assert (job["state"], job["error"]) == ("successful", None)
    (result,) = job["results"]
    return str(result["status"])


def test_packages_are_reported_and_updated(cloud: Connection, outdated: Host) -> None:
    version = f"dpkg-query -f '${{Version}}' -W {PACKAGE}"
    assert run(cloud) == f"1 to be updated: {PACKAGE}"
    assert outdated.run(version) == "1"
    assert run(cloud, apply=True) == f"1 updated: {PACKAGE}"
    assert outdated.run(version) == "2"
    assert run(cloud) == "0 to be updated"
