"""Sending image data: to users by token, to hosts by signed URL."""

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from skywright.auth.signatures import Signatures, image_data_path
from skywright.http import Context, Forbidden, NotFound, Router
from skywright.http.policy import governed, on_target
from skywright.http.retry import persevere
from skywright.http.router import cloud_of, request_context
from skywright.services.image.access import permitted_image
from skywright.services.image.replicas import Replicas
from skywright.services.image.store import Store
from skywright.services.image.tables import Image

router = Router()


class DataResponse(FileResponse):
    """A file in larger pieces than Starlette's: each costs a change of threads."""

    chunk_size = 256 * 1024


@router.get("/v2/images/{image_id}/file")
@governed(on_target("download_image"))
async def download_data(request: Request, image_id: str) -> Response:
    settings = request.app.state.cloud.settings
    row = await run_in_threadpool(_readable, request, image_id)
    if row.status not in ("active", "deactivated"):
        return Response(status_code=204)
    digest = row.os_hash_value or ""
    path = Store(settings.image_dir).find(row.id, digest)
    response: Response | None
    if path is not None:
        response = DataResponse(path)
    else:
        response = await Replicas(settings).relay(row.id, digest, request.headers)
    if response is None:
        raise NotFound(f"The data of image {image_id} could not be found.")
    response.headers["Content-Type"] = "application/octet-stream"
    if row.checksum and "range" not in request.headers:
        response.headers["Content-MD5"] = row.checksum
    return response


def _readable(request: Request, image_id: str) -> Image:
    """The image whose data the request may read."""
    found: list[Image] = []

    def attempt() -> None:
        signed = "signature" in request.query_params
        with request_context(request, write=False, plannable=True, anonymous=signed) as context:
            found.append(_by_signature(context, image_id) if signed else _by_token(context, image_id))

    persevere(cloud_of(request).database, attempt, repeatable=True)
    return found[-1]


def _by_signature(context: Context, image_id: str) -> Image:
    query = context.request.query_params
    signatures = Signatures(context.cloud.settings.key_dir)
    row = context.db.get(Image, image_id)
    if not signatures.valid(image_data_path(image_id), query.get("expires", ""), query["signature"]):
        raise Forbidden("The signature of this URL is not valid, or it has expired.")
    if row is None or row.status != "active":
        raise NotFound(f"Failed to find image {image_id}")
    return row


def _by_token(context: Context, image_id: str) -> Image:
    row = permitted_image(context, image_id)
    if row.status == "deactivated" and not context.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    return row
