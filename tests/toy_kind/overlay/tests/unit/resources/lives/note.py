"""A note."""

from resources import life
from resources.machine import NAME
from skywright.services.notes.kinds import NoteKind
from skywright.services.notes.tables import Note
from sqlalchemy.orm import Session


class Life(life.Life):
    kind = NoteKind
    harm_in_words = ["its text differs"]

    def make(self) -> str:
        return str(self.story.change("notes", "/notes", {"text": "hello", "host": NAME})["note"]["id"])

    def harm(self, identifier: str) -> None:
        (self.story.machine.parts["note_file"].directory / identifier).write_text("spoiled")

    def end(self, identifier: str) -> None:
        self.story.delete("notes", f"/notes/{identifier}")

    def forget(self, session: Session, identifier: str) -> None:
        session.delete(session.get_one(Note, identifier))
