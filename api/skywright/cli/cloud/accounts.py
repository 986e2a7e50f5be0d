"""The first accounts, `admin` and `demo`, their passwords, and clouds.yaml for clients."""

import os
import secrets
from typing import Any

import yaml
from sqlalchemy import event
from sqlalchemy.orm import Session

from skywright.cli.cloud.checkout import Checkout
from skywright.cli.failure import StepFailed
from skywright.db import Database
from skywright.db.migrate import upgrade
from skywright.services import bootstrap
from skywright.settings import PORT, Settings


def write_clouds_yaml(checkout: Checkout, address: str, region: str) -> dict[str, str]:
    """Write clouds.yaml with the clouds `skywright` (admin) and `skywright-demo`; return {user: password}.

    Passwords in an existing clouds.yaml are kept.
    """
    passwords = _passwords(checkout)
    clouds = {
        cloud: {
            "auth": {
                "auth_url": f"http://{address}:{PORT}/identity/v3",
                "username": user,
                "password": passwords[user],
                "project_name": user,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": region,
            "identity_api_version": 3,
        }
        for cloud, user in (("skywright", "admin"), ("skywright-demo", "demo"))
    }
    descriptor = os.open(checkout.clouds_yaml, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump({"clouds": clouds}, file, sort_keys=False)
    return passwords


def bootstrap_accounts(settings: Settings, passwords: dict[str, str]) -> None:
    """Create the accounts and the catalog in the database, which must have its tables."""
    database = Database(settings.database_url)
    with database.write() as session:
        bootstrap.bootstrap(session, settings, admin_password=passwords["admin"])
        project = bootstrap.ensure_project(session, "demo")
        user = bootstrap.ensure_user(session, "demo", passwords["demo"], project)
        bootstrap.grant(session, user, "member", "project", project.id)
    database.engine.dispose()


def bootstrap_administrator(settings: Settings, password: str) -> bool:
    """Migrate the database, and create the first account and the catalog; return whether anything changed."""
    if not password:
        raise StepFailed(
            "There is no password on standard input", "Send the administrator's password to standard input."
        )
    upgrade(settings.database_url)
    database = Database(settings.database_url)
    touched: list[object] = []

    def look(session: Session, *_: object) -> None:
        touched.extend(session.new)
        touched.extend(row for row in session.dirty if session.is_modified(row))

    with database.write() as session:
        event.listen(session, "before_flush", look)
        bootstrap.bootstrap(session, settings, admin_password=password)
    database.engine.dispose()
    return bool(touched)


def _passwords(checkout: Checkout) -> dict[str, str]:
    clouds: dict[str, Any] = {}
    if checkout.clouds_yaml.exists():
        clouds = (yaml.safe_load(checkout.clouds_yaml.read_text()) or {}).get("clouds", {})
    held = {cloud["auth"]["username"]: cloud["auth"]["password"] for cloud in clouds.values()}
    return {user: held.get(user) or secrets.token_urlsafe(16) for user in ("admin", "demo")}
