"""The rows of a new cloud: default domain, roles, administrator, catalog, and the rows of services. Idempotent."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.passwords import check_password, hash_password
from skywright.db import utcnow
from skywright.db.identity import Domain, Endpoint, ImpliedRole, Project, Region, Role, RoleAssignment, Service, User
from skywright.services import registry
from skywright.settings import Settings

# The first role of each pair implies the second.
IMPLIED = {"admin": "manager", "manager": "member", "member": "reader"}
ROLES = ("admin", "manager", "member", "reader", "service", "ResellerAdmin")


def bootstrap(session: Session, settings: Settings, *, admin_password: str) -> None:
    """Create or update the default domain, roles, user and project `admin`, the catalog, and the rows of services."""
    if session.get(Domain, "default") is None:
        session.add(Domain(id="default", name="Default", name_key="default", description="The default domain"))
        session.flush()
    _roles(session)
    project = ensure_project(session, "admin")
    user = ensure_user(session, "admin", admin_password, project)
    grant(session, user, "admin", "project", project.id)
    grant(session, user, "admin", "system", "all")
    _catalog(session, settings)
    for service in registry.services():
        if service.bootstrap:
            service.bootstrap(session)


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


def ensure_user(session: Session, name: str, password: str, project: Project) -> User:
    """Return the user *name* of the default domain, created or updated with *password* and the default project
    *project*.
    """
    query = select(User).where(User.domain_id == "default", User.name_key == name.casefold())
    user = session.scalar(query)
    if user is None:
        user = User(name=name, name_key=name.casefold(), domain_id="default", default_project_id=project.id)
        session.add(user)
    if user.password_hash is None or not check_password(password, user.password_hash):
        user.password_hash = hash_password(password)
        user.tokens_valid_after = utcnow()
    session.flush()
    return user


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


def _catalog(session: Session, settings: Settings) -> None:
    if session.get(Region, settings.region) is None:
        session.add(Region(id=settings.region))
        session.flush()
    for service in registry.services():
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
