"""A server that is older than the column `Server.drive`: no record has the content of its config drive."""

from pathlib import Path
from typing import Any

import pytest

from resources.life import Story
from resources.lives.server import Life
from skywright.services.compute.tables import Server


@pytest.fixture
def server(story: Story) -> str:
    """The id of such a server. Its config drive was written from other records than the current ones."""
    identifier = Life(story).make()
    with story.cloud.database.write() as session:
        row = session.get_one(Server, identifier)
        row.drive, row.properties = None, {"role": "web"}
    return identifier


def drive_of(story: Story, server: str) -> Path:
    parts: dict[str, Any] = story.machine.parts
    path: Path = parts["server_disk"].servers / server / "disk.config"
    return path


def differences(story: Story) -> list[str]:
    return [one["text"] for found in story.drift()["resources"] for one in found["differences"]]


def test_the_content_of_its_config_drive_is_not_compared(story: Story, server: str) -> None:
    before = story.machine.state()
    assert story.drift()["state"] == "clean"
    assert story.repair() == [] and story.machine.state() == before


def test_its_missing_config_drive_is_drift_and_is_repaired(story: Story, server: str) -> None:
    drive_of(story, server).unlink()
    assert differences(story) == ["its config drive is missing"]
    assert story.repair() == ["server"]
    assert drive_of(story, server).exists() and story.drift()["state"] == "clean"


def test_its_next_job_writes_and_records_a_config_drive(story: Story, server: str) -> None:
    before = drive_of(story, server).read_bytes()
    story.change("compute", f"/v2.1/servers/{server}/action", {"reboot": {"type": "HARD"}})
    assert drive_of(story, server).read_bytes() != before and story.drift()["state"] == "clean"
    with story.cloud.database.write() as session:
        row = session.get_one(Server, server)
        assert row.drive and row.drive["meta_data"]["meta"] == {"role": "web"}
        row.drive = row.drive | {"network_data": {}}
    assert differences(story) == ["its config drive differs"]
