"""The first accounts, `admin` and `demo`, their passwords, and clouds.yaml for clients."""

import os
import secrets
from collections.abc import Mapping
from typing import Any

import yaml

from skywright.cli.cloud.checkout import Checkout
from skywright.cli.failure import StepFailed
from skywright.db import Database, DatabaseUnavailable
from skywright.db.migrate import upgrade
from skywright.services.bootstrap import bootstrap
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


def bootstrap_accounts(settings: Settings, passwords: Mapping[str, str]) -> bool:
    """Migrate the database, and create the accounts of {user: password} and the catalog; return whether anything of
    these changed.
    """
    upgrade(settings.database_url)
    database = Database(settings.database_url)
    try:
        return bootstrap(database, settings, passwords)
    finally:
        database.engine.dispose()


def bootstrap_administrator(settings: Settings, password: str) -> bool:
    """Migrate the database, and create the first account and the catalog; return whether anything of these changed.

    Raises StepFailed if the password is empty or the database is not available.
    """
    if not password:
        raise StepFailed(
            "There is no password on standard input", "Send the administrator's password to standard input."
        )
    try:
        return bootstrap_accounts(settings, {"admin": password})
    except DatabaseUnavailable as error:
        raise StepFailed(str(error), "See the log of the database.") from error


def _passwords(checkout: Checkout) -> dict[str, str]:
    clouds: dict[str, Any] = {}
    if checkout.clouds_yaml.exists():
        clouds = (yaml.safe_load(checkout.clouds_yaml.read_text()) or {}).get("clouds", {})
    held = {cloud["auth"]["username"]: cloud["auth"]["password"] for cloud in clouds.values()}
    return {user: held.get(user) or secrets.token_urlsafe(16) for user in ("admin", "demo")}
