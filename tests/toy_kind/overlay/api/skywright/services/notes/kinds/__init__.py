"""The kind of job of notes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from skywright.services.notes.tables import Note
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Item, Kind, Outcome, Work
from skywright.db.host_facts import HostFacts, Mark
from skywright.db.jobs import Job
from skywright.jobs.drift.model import Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.kinds import TIDY, ResourceKind, Result


class NoteKind(ResourceKind):
    """Jobs of one note each."""

    name, item_kind = "note", "notes"

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        work = Work()
        for job in jobs:
            identifier = job.resources[0].resource_id
            note = session.get(Note, identifier)
            if note is None:
                item, host = {"id": identifier, "state": "absent"}, job.arguments["host"]
            else:
                state = "absent" if job.action == "delete" or job.undoing else "present"
                item, host = {**_item(note), "state": state}, note.host
            work.items.setdefault(host, {}).setdefault("notes", []).append(item)
            work.depends[job.id] = {(host, identifier)}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        note = session.get(Note, job.resources[0].resource_id)
        if note is None or job.action == TIDY:
            return
        if job.action == "delete" and outcome.ok:
            session.delete(note)
        else:
            note.status = "ACTIVE" if outcome.ok else "ERROR"

    def read_desired(self, reading: Reading) -> None:
        for note in reading.session.scalars(select(Note).where(Note.host.in_(reading.compared))):
            if reading.includes(("note", note.id), note.text[:20], note.project_id):
                reading.desired.add(note.host, "notes", _item(note))

    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        yield replace(base, text="its text differs" if result["action"] == "update" else "it is missing")

    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        for mark in facts.marks("note_file", Mark):
            if records.settled("note", mark.id) and records.session.get(Note, mark.id) is None:
                yield Leftover(host, "note", mark.id, ["note"])


def _item(note: Note) -> Item:
    return {"id": note.id, "state": "present", "text": note.text}


KINDS: tuple[Kind, ...] = (NoteKind(),)
