"""Project tags. https://docs.openstack.org/api-ref/identity/v3/#project-tags"""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Response
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from skywright.db.identity import Project
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.policy import on_target
from skywright.services.identity.common import fetch, link, reads

router = Router()
MOST = 80

Tag = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^,/\x00]*$")]


def _distinct(tags: list[str]) -> list[str]:
    if len(set(tags)) != len(tags):
        raise PydanticCustomError("unique", "not unique")
    return tags


Tags = Annotated[list[Tag], Field(max_length=MOST), AfterValidator(_distinct)]


class ReplaceTags(Strict):
    tags: Tags


def _project(context: Context, project_id: str) -> Project:
    return fetch(context, Project, project_id, "project")


@reads(router, "/v3/projects/{project_id}/tags", on_target("identity:list_project_tags"))
def list_tags(context: Context, project_id: str) -> dict[str, Any]:
    row = _project(context, project_id)
    return {"tags": row.tags, "links": link(context, f"projects/{project_id}/tags")}


@router.operation("PUT", "/v3/projects/{project_id}/tags", policy=on_target("identity:update_project_tags"))
def replace_tags(context: Context, project_id: str, body: ReplaceTags) -> dict[str, Any]:
    row = _project(context, project_id)
    row.tags = body.tags
    return {"tags": row.tags, "links": link(context, f"projects/{project_id}/tags")}


@router.operation(
    "DELETE", "/v3/projects/{project_id}/tags", policy=on_target("identity:delete_project_tags"), status=204
)
def delete_tags(context: Context, project_id: str) -> None:
    _project(context, project_id).tags = []


@reads(router, "/v3/projects/{project_id}/tags/{tag}", on_target("identity:get_project_tag"), status=204)
def check_tag(context: Context, project_id: str, tag: str) -> None:
    if tag not in _project(context, project_id).tags:
        raise NotFound(f"Could not find project tag: {tag}.")


@router.operation("PUT", "/v3/projects/{project_id}/tags/{tag}", policy=on_target("identity:create_project_tag"))
def add_tag(context: Context, project_id: str, tag: Tag) -> Response:
    row = _project(context, project_id)
    if tag not in row.tags:
        if len(row.tags) >= MOST:
            raise BadRequest(f"A project has at most {MOST} tags.")
        row.tags = [*row.tags, tag]
    return Response(
        status_code=201, headers={"Location": f"{context.base_url}/v3/projects/{project_id}/tags/{quote(tag)}"}
    )


@router.operation(
    "DELETE", "/v3/projects/{project_id}/tags/{tag}", policy=on_target("identity:delete_project_tag"), status=204
)
def delete_tag(context: Context, project_id: str, tag: str) -> None:
    row = _project(context, project_id)
    if tag not in row.tags:
        raise NotFound(f"Could not find project tag: {tag}.")
    row.tags = [kept for kept in row.tags if kept != tag]
