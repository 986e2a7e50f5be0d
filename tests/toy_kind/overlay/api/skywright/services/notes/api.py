"""Notes: texts that hosts keep."""

from typing import Any

from pydantic import BaseModel
from skywright.services.notes.policies import POLICIES
from skywright.services.notes.tables import Note

from skywright.errors import ApiError
from skywright.http import Context, Router
from skywright.http.service import Service
from skywright.jobs.engine.submit import submit

router = Router()


class NewNote(BaseModel):
    text: str
    host: str


@router.operation("POST", "/notes", policy="notes:create", status=202)
def create_note(context: Context, body: NewNote) -> dict[str, Any]:
    note = Note(project_id=context.project_id, host=body.host, text=body.text)
    context.db.add(note)
    context.db.flush()
    submit(context, "note", "create", [("note", note.id)])
    return _view(note)


@router.operation("GET", "/notes/{note_id}", policy="notes:show")
def show_note(context: Context, note_id: str) -> dict[str, Any]:
    return _view(context.visible(Note, note_id, "Note"))


@router.operation("DELETE", "/notes/{note_id}", policy="notes:delete", status=202)
def delete_note(context: Context, note_id: str) -> None:
    note = context.visible(Note, note_id, "Note")
    submit(context, "note", "delete", [("note", note.id)])


def _view(note: Note) -> dict[str, Any]:
    return {"note": {"id": note.id, "text": note.text, "status": note.status}}


def _render_error(error: ApiError) -> dict[str, Any]:
    return {"error": {"code": error.status, "message": error.message}}


SERVICE = Service(
    name="notes",
    type="notes",
    prefix="/notes",
    port=None,
    endpoint="",
    routers=[router],
    policies=POLICIES,
    render_error=_render_error,
)
