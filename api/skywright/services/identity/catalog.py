"""The service catalog."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.identity import Endpoint, Service


def catalog(session: Session, project_id: str | None) -> list[dict[str, Any]]:
    """The `catalog` of a token of *project_id*: enabled services with their enabled endpoints."""
    services: dict[str, dict[str, Any]] = {
        service.id: {"id": service.id, "type": service.type, "name": service.name or "", "endpoints": []}
        for service in session.scalars(select(Service).where(Service.enabled))
    }
    for endpoint in session.scalars(select(Endpoint).where(Endpoint.enabled).order_by(Endpoint.interface)):
        if endpoint.service_id in services:
            services[endpoint.service_id]["endpoints"].append(
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region": endpoint.region_id,
                    "region_id": endpoint.region_id,
                    "url": _fill(endpoint.url, project_id),
                }
            )
    return list(services.values())


def _fill(url: str, project_id: str | None) -> str:
    """*url* with Keystone's `$(project_id)s` placeholders replaced."""
    for name in ("project_id", "tenant_id"):
        for form in (f"$({name})s", f"%({name})s"):
            url = url.replace(form, project_id or "")
    return url
