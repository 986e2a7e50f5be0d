"""The part of identity that rarely changes and that every request needs: roles, implied roles and the catalog."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.identity import Endpoint, ImpliedRole, Role, Service


@dataclass(frozen=True)
class Directory:
    """Roles, implied roles and the catalog, as read in one transaction."""

    role_names: dict[str, str]
    role_domains: dict[str, str]
    implied: dict[str, frozenset[str]]  # all roles that a role implies, directly or indirectly
    services: tuple[dict[str, Any], ...]  # the catalog with its placeholders

    def with_implied(self, role_ids: Iterable[str]) -> list[str]:
        """Return *role_ids* with their implied roles, by name. Domain roles are left out, but not the roles that they
        imply.
        """
        held = {role for given in role_ids for role in (given, *self.implied.get(given, ()))}
        return sorted((role for role in held if not self.role_domains.get(role, "-")), key=self.role_names.__getitem__)

    def catalog(self, user_id: str, project_id: str | None) -> list[dict[str, Any]]:
        """Return the `catalog` of a user's token; without a project, endpoints with a project id are left out."""
        values = dict.fromkeys(OF_PROJECT, project_id or "") | {"user_id": user_id}
        return [
            {
                **service,
                "endpoints": [
                    {**endpoint, "url": _fill(endpoint["url"], values)}
                    for endpoint in service["endpoints"]
                    if project_id or not _needs_project(endpoint["url"])
                ],
            }
            for service in self.services
        ]


def read_directory(session: Session) -> Directory:
    """Read the directory in *session*."""
    roles = session.execute(select(Role.id, Role.name, Role.domain_id)).all()
    steps: dict[str, set[str]] = {}
    for prior, implied in session.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        steps.setdefault(prior, set()).add(implied)
    return Directory(
        {role.id: role.name for role in roles},
        {role.id: role.domain_id for role in roles},
        {role: frozenset(_closure(role, steps)) for role in steps},
        tuple(_services(session)),
    )


def _closure(start: str, steps: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for role in steps.get(waiting.pop(), ()):
            if role not in reached:
                reached.add(role)
                waiting.append(role)
    return reached


def _services(session: Session) -> list[dict[str, Any]]:
    query = select(Service.id, Service.type, Service.name).where(Service.enabled).order_by(Service.type, Service.id)
    services: dict[str, dict[str, Any]] = {
        row.id: {"id": row.id, "type": row.type, "name": row.name or "", "endpoints": []}
        for row in session.execute(query)
    }
    columns = (Endpoint.id, Endpoint.interface, Endpoint.region_id, Endpoint.url, Endpoint.service_id)
    for row in session.execute(select(*columns).where(Endpoint.enabled).order_by(Endpoint.interface, Endpoint.id)):
        if row.service_id in services:
            endpoint = {
                "id": row.id,
                "interface": row.interface,
                "region": row.region_id,
                "region_id": row.region_id,
                "url": row.url,
            }
            services[row.service_id]["endpoints"].append(endpoint)
    return list(services.values())


# Placeholders in the URLs of endpoints: `$(project_id)s` or, in the older format, `%(project_id)s`.
OF_PROJECT = ("project_id", "tenant_id")
_PLACEHOLDER = re.compile(rf"[$%]\((user_id|{'|'.join(OF_PROJECT)})\)s")


def has_unknown_placeholders(url: str) -> bool:
    """Return whether *url* has a placeholder that is not filled in."""
    rest = _PLACEHOLDER.sub("", url)
    return "$(" in rest or "%(" in rest


def _needs_project(url: str) -> bool:
    return any(found[1] in OF_PROJECT for found in _PLACEHOLDER.finditer(url))


def _fill(url: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], url)
