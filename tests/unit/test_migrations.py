"""The migrations create the declared tables."""

import json
import threading
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from recorded_hosts import answer
from skywright.db import Base, Database, migrate
from skywright.db.jobs import Host
from skywright.db.migrate import current, head, upgrade
from skywright.services.image.metadef_definitions import load_definitions
from skywright.services.image.tables import MetadefNamespace, MetadefResourceType
from skywright.services.network.tables import NetworkHost, RbacPolicy, Subnet


def test_a_new_database_has_the_declared_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/not/yet/there/new.db"
    upgrade(url)
    database = Database(url)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == [], "run `python -m skywright.revise WHAT CHANGED`"
    assert current(database) == head()
    database.engine.dispose()


def test_a_second_migration_waits_for_the_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    errors: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_facts_of_observed_hosts_are_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    command.upgrade(migrate._config(url), "0008")
    old = answer(hypervisor_version="7.2.22")
    for new in ("contents", "cpu_info", "disk_overcommit_gib", "uptime"):
        del old[new]
    database = Database(url)
    with database.engine.begin() as connection:
        columns = "name, id, groups, variables, state, up, vcpus, memory_mib, disk_gib, info, created_at"
        row = f"'h', '1', '[]', '{{}}', 'enabled', 1, 2, 6617, 251, '{json.dumps(old)}', '2026-11-20 10:00:00'"
        connection.exec_driver_sql(f"INSERT INTO host ({columns}) VALUES ({row})")
    upgrade(url)
    with database.read() as session:
        facts = session.get_one(Host, "h").facts
    assert (facts.hypervisor_version, facts.boot, facts.uptime) == (7002022, old["boot"], None)
    database.engine.dispose()


def test_resource_types_in_use_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    command.upgrade(migrate._config(url), "0011")
    database = Database(url)
    moment = "'2026-11-20 10:00:00', '2026-11-20 10:00:00'"
    with database.engine.begin() as connection:
        for name in ("one", "two"):
            columns = "namespace, visibility, protected, created_at, updated_at"
            values = f"'{name}', 'public', 0, {moment}"
            connection.exec_driver_sql(f"INSERT INTO metadef_namespace ({columns}) VALUES ({values})")
            columns = "namespace, kind, name, body, created_at, updated_at"
            values = f"'{name}', 'resource_type_associations', 'OS::Own::Thing', '{{}}', {moment}"
            connection.exec_driver_sql(f"INSERT INTO metadef_item ({columns}) VALUES ({values})")
    upgrade(url)
    with database.write() as session:
        load_definitions(session)
    with database.read() as session:
        protected = {row.name: row.protected for row in session.scalars(select(MetadefResourceType))}
        assert session.get(MetadefNamespace, "OS::OperatingSystem") is not None
    assert protected["OS::Own::Thing"] is False and protected["OS::Glance::Image"] is True


def test_what_is_shared_stays_shared_by_policies(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    command.upgrade(migrate._config(url), "0013")
    database = Database(url)
    moment = "'2026-11-20 10:00:00', '2026-11-20 10:00:00'"
    with database.engine.begin() as connection:
        for shared in (0, 1):
            standard = f"'project', '', '', 0, {moment}"
            columns = "id, project_id, name, description, revision_number, created_at, updated_at, shared"
            connection.exec_driver_sql(
                f"INSERT INTO network ({columns}, type, physical_network, segmentation_id, status, admin_state_up, mtu)"
                f" VALUES ('network-{shared}', {standard}, {shared}, 'vxlan', '', {shared + 1}, 'ACTIVE', 1, 1450)"
            )
            connection.exec_driver_sql(
                f"INSERT INTO subnet_pool ({columns}, prefixes, ip_version, default_prefixlen, min_prefixlen,"
                f" max_prefixlen, is_default) VALUES ('pool-{shared}', {standard}, {shared}, '[]', 4, 8, 8, 32, 0)"
            )
        # What refers to them is kept.
        connection.exec_driver_sql("INSERT INTO network_host (network_id, host) VALUES ('network-1', 'h')")
        columns = "id, project_id, name, description, revision_number, created_at, updated_at, ip_version, cidr"
        connection.exec_driver_sql(
            f"INSERT INTO subnet ({columns}, enable_dhcp, dns_nameservers, allocation_pools, host_routes, network_id,"
            f" subnetpool_id) VALUES ('s', 'project', '', '', 0, {moment}, 4, '10.0.0.0/24', 1, '[]', '[]', '[]',"
            " 'network-1', 'pool-1')"
        )
    upgrade(url)
    with database.read() as session:
        assert session.get(NetworkHost, ("network-1", "h")) and session.get(Subnet, "s")
        policies = session.scalars(select(RbacPolicy).order_by(RbacPolicy.object_type)).all()
    found = [(row.object_type, row.object_id, row.target_project, row.project_id) for row in policies]
    assert found == [("network", "network-1", "*", "project"), ("subnetpool", "pool-1", "*", "project")]
    command.downgrade(migrate._config(url), "0013")
    with database.engine.connect() as connection:
        for table, name in (("network", "network"), ("subnet_pool", "pool")):
            rows = connection.exec_driver_sql(f"SELECT id, shared FROM {table} ORDER BY id").all()
            assert [tuple(row) for row in rows] == [(f"{name}-0", 0), (f"{name}-1", 1)]
        assert connection.exec_driver_sql("SELECT host FROM network_host").scalar() == "h"
    database.engine.dispose()
