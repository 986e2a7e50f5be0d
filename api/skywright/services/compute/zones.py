"""Availability zones: a host is in the zone in its variable `skywright_availability_zone`, by default `nova`."""

from typing import Any

from sqlalchemy.orm import Session

from skywright.db import isoformat
from skywright.db.jobs import Host
from skywright.http import Context, Router
from skywright.services.compute.compute_hosts import compute_hosts
from skywright.services.compute.scheduler import zone_of

router = Router()


@router.operation("GET", "/v2.1/os-availability-zone", policy="os_compute_api:os-availability-zone:list")
def list_zones(context: Context) -> dict[str, Any]:
    return {"availabilityZoneInfo": [_zone(name, hosts) for name, hosts in zones(context.db).items()]}


@router.operation("GET", "/v2.1/os-availability-zone/detail", policy="os_compute_api:os-availability-zone:detail")
def list_zones_detail(context: Context) -> dict[str, Any]:
    details = []
    for name, hosts in zones(context.db).items():
        zone = _zone(name, hosts)
        zone["hosts"] = {
            host.name: {
                "nova-compute": {
                    "available": host.up,
                    "active": host.condition == "enabled",
                    "updated_at": isoformat(host.observed_at or host.created_at),
                }
            }
            for host in hosts
        }
        details.append(zone)
    return {"availabilityZoneInfo": details}


def zones(session: Session) -> dict[str, list[Host]]:
    """Return {zone: compute hosts}; the default zone exists even without hosts."""
    found: dict[str, list[Host]] = {}
    for host in compute_hosts(session):
        found.setdefault(zone_of(host), []).append(host)
    return found or {"nova": []}


def _zone(name: str, hosts: list[Host]) -> dict[str, Any]:
    available = any(host.up and host.condition == "enabled" for host in hosts)
    return {"zoneName": name, "zoneState": {"available": available}, "hosts": None}
