"""Notes as files."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.spec import list_of, option, state

NOTES = list_of(
    "The notes to converge.",
    id=option("UUID of the note.", required=True),
    state=state("Whether the note shall be there."),
    text=option("What it says."),
)


class NoteFile(Kind):
    """Notes, each a file of a directory."""

    name, items, label = "note_file", "notes", "note"
    item = NOTES
    options = {"directory": option("Where the notes are.", "path", default="/var/lib/skywright/notes")}
    variables = {"directory": "notes_directory"}

    def path(self, note_id):
        """Name a note's file."""
        return os.path.join(self.settings["directory"], check.uuid(note_id))

    def read(self, items):
        """Read the listed notes."""
        texts = {item["id"]: read_text(self.path(item["id"])) for item in items}
        return {note_id: {"text": text} for note_id, text in texts.items() if text is not None}

    def marks(self):
        """List the notes."""
        return [{"id": note_id} for note_id in ids_in(self.settings["directory"])]

    def want(self, item, have):
        """Want the text."""
        if item["state"] == "absent":
            return None
        if item["text"] is None:
            raise ItemError("the note has no text")
        return {"text": item["text"]}

    def apply(self, steps, done):
        """Write and remove."""
        return each({"create": self.write, "update": self.write, "delete": self.delete})(steps, done)

    def write(self, step):
        """Write a note; one that was cut short differs from what is wanted."""
        os.makedirs(self.settings["directory"], exist_ok=True)
        with open(self.path(step.id), "w", encoding="utf-8") as file:
            file.write(step.want["text"])

    def delete(self, step):
        """Remove a note."""
        remove(self.path(step.id))
