"""Runs the `openstack` command in this process, because starting a process takes most of its time."""

import gc
import io
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.conftest import PASSWORD


def of_demo(url: str, home: Path) -> dict[str, str]:
    """Return the environment of the user demo."""
    return {
        "OS_AUTH_URL": f"{url}/identity",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "HOME": str(home),
    }


def openstack(environment: Mapping[str, str], *command: str) -> str:
    """Return the output of the command, which must succeed."""
    said, complaints = io.StringIO(), io.StringIO()
    with alone(environment), redirect_stdout(said), redirect_stderr(complaints):
        from openstackclient.shell import OpenStackShell  # noqa: PLC0415 - it warns when it is imported

        code = OpenStackShell().run(list(command))
    assert code == 0, complaints.getvalue()
    return said.getvalue()


@contextmanager
def alone(environment: Mapping[str, str]) -> Iterator[None]:
    """Isolate the client as in a process of its own, and let it poll more often."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in os.environ:
            if name.startswith("OS_"):
                patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        from osc_lib import clientmanager  # noqa: PLC0415 - it warns when it is imported

        for member in vars(clientmanager.ClientManager).values():
            if isinstance(member, clientmanager.ClientCache):  # the class keeps connections of the last test
                patch.setattr(member, "_handle", None)
        patch.setattr("osc_lib.utils.time", SimpleNamespace(sleep=lambda _seconds: time.sleep(0.1)))
        yield
        gc.collect()  # which the client never closes
    root.handlers[:] = handlers
    root.setLevel(level)
