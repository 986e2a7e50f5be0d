"""The rows of a new cloud: default domain, roles, administrator, catalog, and the rows of services. Idempotent."""

from collections.abc import Mapping

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from skywright.auth.passwords import check_password, hash_password
from skywright.db import Database, utcnow
from skywright.db.identity import Domain, Endpoint, ImpliedRole, Project, Region, Role, RoleAssignment, Service, User
from skywright.http.service import Service as ServiceApi
from skywright.services import registry
from skywright.settings import Settings

# The first role of each pair implies the second.
IMPLIED = {"admin": "manager", "manager": "member", "member": "reader"}
ROLES = ("admin", "manager", "member", "reader", "service", "ResellerAdmin")


def bootstrap(database: Database, settings: Settings, passwords: Mapping[str, str]) -> bool:
    """Create or update the default domain, roles, accounts, catalog, and the rows of services; return whether anything
    changed.

    *passwords* has the passwords of `admin` and of other users. Each of these becomes a member of a project with the
    user's name. Raises DatabaseUnavailable.
    """
    # MariaDB ends a write transaction in which no statement comes for three seconds. On a busy machine bcrypt and the
    # import of all services take that long, so they come before it.
    services = registry.services()
    hashes = {name: _hash(database, name, password) for name, password in passwords.items()}
    changed: list[object] = []

    def note_changes(session: Session, *_: object) -> None:
        changed.extend(session.new)
        changed.extend(row for row in session.dirty if session.is_modified(row))

    def write(session: Session) -> None:
        event.listen(session, "before_flush", note_changes)
        if session.get(Domain, "default") is None:
            session.add(Domain(id="default", name="Default", name_key="default", description="The default domain"))
            session.flush()
        _roles(session)
        for name, password_hash in hashes.items():
            _account(session, name, password_hash)
        _catalog(session, settings, services)
        for service in services:
            if service.bootstrap:
                service.bootstrap(session)

    database.transact(write)
    return bool(changed)


def _hash(database: Database, name: str, password: str) -> str:
    """Return the stored hash of the user's password if it is *password*, otherwise a new hash of *password*."""
    with database.read() as session:
        user = _user(session, name)
        stored = user.password_hash if user else None
    return stored if stored and check_password(password, stored) else hash_password(password)


def _account(session: Session, name: str, password_hash: str) -> None:
    project = ensure_project(session, name)
    user = ensure_user(session, name, password_hash, project)
    grant(session, user, "admin" if name == "admin" else "member", "project", project.id)
    if name == "admin":
        grant(session, user, "admin", "system", "all")


def _roles(session: Session) -> None:
    """Create the default roles, which cannot be changed or deleted, and their implications."""
    for name in ROLES:
        if role_named(session, name) is None:
            session.add(Role(name=name, name_key=name.casefold(), options={"immutable": True}))
    session.flush()
    for prior, implied in IMPLIED.items():
        session.merge(ImpliedRole(prior_id=_role(session, prior).id, implied_id=_role(session, implied).id))


def role_named(session: Session, name: str) -> Role | None:
    """Return the global role *name*."""
    return session.scalar(select(Role).where(Role.name_key == name.casefold(), Role.domain_id == ""))


def _role(session: Session, name: str) -> Role:
    role = role_named(session, name)
    assert role is not None, name
    return role


def ensure_project(session: Session, name: str) -> Project:
    """Return the project *name* of the default domain; create it if it does not exist."""
    query = select(Project).where(Project.domain_id == "default", Project.name_key == name.casefold())
    project = session.scalar(query)
    if project is None:
        project = Project(name=name, name_key=name.casefold(), domain_id="default", parent_id="default")
        session.add(project)
        session.flush()
    return project


def ensure_user(session: Session, name: str, password_hash: str, project: Project) -> User:
    """Return the user *name* of the default domain, created or updated with *password_hash* and the default project
    *project*.
    """
    user = _user(session, name)
    if user is None:
        user = User(name=name, name_key=name.casefold(), domain_id="default", default_project_id=project.id)
        session.add(user)
    if user.password_hash != password_hash:
        user.password_hash = password_hash
        user.tokens_valid_after = utcnow()
    session.flush()
    return user


def _user(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(User.domain_id == "default", User.name_key == name.casefold()))


def grant(session: Session, user: User, role: str, target_type: str, target_id: str) -> None:
    """Assign the global *role* on a target to *user*."""
    session.merge(
        RoleAssignment(
            actor_type="user",
            actor_id=user.id,
            target_type=target_type,
            target_id=target_id,
            role_id=_role(session, role).id,
            inherited=False,
        )
    )


def _catalog(session: Session, settings: Settings, services: list[ServiceApi]) -> None:
    if session.get(Region, settings.region) is None:
        session.add(Region(id=settings.region))
        session.flush()
    for service in services:
        row = session.scalar(select(Service).where(Service.type == service.type))
        if row is None:
            row = Service(type=service.type, name=service.name)
            session.add(row)
            session.flush()
        url = f"{settings.public_url}{service.prefix}{service.endpoint}"
        for interface in ("public", "internal", "admin"):
            query = select(Endpoint).where(Endpoint.service_id == row.id, Endpoint.interface == interface)
            endpoint = session.scalar(query) or Endpoint(service_id=row.id, interface=interface)
            endpoint.url, endpoint.region_id = url, settings.region
            session.add(endpoint)
