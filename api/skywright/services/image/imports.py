"""Import of staged data (glance-direct). This service downloads nothing from URLs."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from sqlalchemy import literal, select

from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.policy import AUTHENTICATED, on_target
from skywright.services.image import views
from skywright.services.image.access import permitted_image, visible_image
from skywright.services.image.bodies import JsonObject
from skywright.services.image.listing import DEFAULT_LIMIT, Listing
from skywright.services.image.tables import ImageTask
from skywright.services.image.uploads import STORE_HEADER, become_active

router = Router()
METHODS = ["glance-direct"]
STORE = {"id": views.STORE, "description": "Files on the controllers", "default": "true"}
STATUSES = ("pending", "processing", "success", "failure")
TASK_FILTERS = {name: getattr(ImageTask, name) for name in ("id", "status", "image_id", "user_id", "request_id")}
TASK_FILTERS["owner"] = ImageTask.project_id
TASK_FILTERS["type"] = literal(views.TASK_TYPE)
TASK_SORT_KEYS = ("id", "status", "created_at")
TASKS = Listing(
    "tasks",
    "/v2/schemas/tasks",
    views.task,
    marker=ImageTask.id,
    sort_keys={name: getattr(ImageTask, name) for name in TASK_SORT_KEYS},
    ties=("created_at", "id"),
    default_limit=DEFAULT_LIMIT,
    missing_marker=BadRequest,
)


@router.operation("GET", "/v2/info/import", policy=AUTHENTICATED)
def show_import_methods(context: Context) -> dict[str, Any]:
    return {
        "import-methods": {"description": "Import methods available.", "type": "array", "value": METHODS},
    }


@router.operation("GET", "/v2/info/usage", policy=AUTHENTICATED)
def show_usage(context: Context) -> dict[str, Any]:
    """Show the usage of resources with quotas, as Glance does: images have no quotas."""
    return {"usage": {}}


@router.operation("GET", "/v2/info/stores", policy=AUTHENTICATED)
def list_stores(context: Context) -> dict[str, Any]:
    return {"stores": [STORE]}


@router.operation("GET", "/v2/info/stores/detail", policy="stores_info_detail")
def list_stores_detail(context: Context) -> dict[str, Any]:
    details = {"type": "file", "weight": 0, "properties": {"data_dir": str(context.cloud.settings.image_dir)}}
    return {"stores": [STORE | details]}


@router.operation("POST", "/v2/images/{image_id}/import", policy=on_target("modify_image"), status=202)
def import_image(context: Context, image_id: str, body: JsonObject) -> Response:
    """Import staged data. It was inspected and stored when it was received, so that only the image's record changes."""
    row = permitted_image(context, image_id)
    context.refuse_plan("it moves image data.")
    method = body.get("method")
    if not isinstance(method, dict) or not isinstance(method.get("name"), str):
        raise BadRequest("Import request requires a 'name' field in its 'method'.")
    if method["name"] not in METHODS:
        raise BadRequest(f"Unknown import method name '{method['name'][:64]}'; known: {', '.join(METHODS)}.")
    _check_stores(body, context.request.headers)
    if row.status != "uploading" or row.staged is None:
        raise Conflict(f"'glance-direct' import needs staged data; the image is {row.status}.")
    become_active(row, row.staged)
    row.staged = None
    context.db.add(
        ImageTask(
            image_id=row.id,
            project_id=context.caller.project_id,
            user_id=context.caller.user_id,
            request_id=context.request_id,
            request={"method": {"name": method["name"]}},
            status="success",
        )
    )
    return Response(status_code=202)


@router.operation("GET", "/v2/images/{image_id}/tasks", policy=on_target("get_image"))
def list_image_tasks(context: Context, image_id: str) -> dict[str, Any]:
    row = visible_image(context, image_id)
    tasks: list[ImageTask] = []
    if context.is_admin or row.project_id == context.caller.project_id:
        query = select(ImageTask).where(ImageTask.image_id == row.id).order_by(ImageTask.created_at)
        tasks = list(context.db.scalars(query))
    return {"tasks": [views.task(task) for task in tasks]}


@router.operation("GET", "/v2/tasks", policy="tasks_api_access")
def list_tasks(context: Context) -> dict[str, Any]:
    tasks, parameters = select(ImageTask), context.request.query_params
    for name, known in (("status", STATUSES), ("type", ("import", views.TASK_TYPE))):
        if parameters.get(name) and parameters[name] not in known:
            raise BadRequest(f"Invalid {name} value: {parameters[name]}")
    wanted = [column == parameters[name] for name, column in TASK_FILTERS.items() if parameters.get(name)]
    return TASKS.page(context, tasks.where(*wanted), tasks)


@router.operation("GET", "/v2/tasks/{task_id}", policy="tasks_api_access")
def show_task(context: Context, task_id: str) -> dict[str, Any]:
    row = context.db.get(ImageTask, task_id)
    if row is None:
        raise NotFound(f"Task not found with id {task_id}")
    return views.task(row)


@router.operation("POST", "/v2/tasks", policy="tasks_api_access")
def create_task(context: Context) -> None:
    raise BadRequest("Tasks import from URLs, which this service does not fetch. Upload the data, or stage it.")


def _check_stores(body: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Raise Conflict for unknown stores, and BadRequest if they are named in more than one way."""
    for name in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(body.get(name, False), bool):
            raise BadRequest(f"'{name}' must be boolean value only")
    named = [name for name, given in (("stores", "stores" in body), (STORE_HEADER, STORE_HEADER in headers)) if given]
    if body.get("all_stores") and named:
        raise BadRequest(f"All_stores parameter can't be used with {STORE_HEADER} header or stores parameter")
    if len(named) > 1:
        raise BadRequest(f"Stores parameter and {STORE_HEADER} header can't be both specified")
    stores = body.get("stores", [headers.get(STORE_HEADER, views.STORE)])
    if not isinstance(stores, list) or not set(map(str, stores)) <= {views.STORE}:
        raise Conflict(f"Unknown stores; known: {views.STORE}.")
