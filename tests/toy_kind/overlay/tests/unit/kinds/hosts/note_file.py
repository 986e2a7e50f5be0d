"""A directory of notes."""

from typing import Any

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import note_file
from kinds.fake_host import FakeHost


class Host(FakeHost):
    kind = note_file.NoteFile
    change = {"text": "other"}
    bad = [({"text": None}, "no text")]

    def install(self) -> None:
        self.directory = self.root / "notes"
        self.set_default("directory", self.directory)

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        return {"id": identifier, "text": "hello", **changes}

    def add_others(self) -> None:
        self.directory.mkdir()
        (self.directory / "README").touch()
