"""Downloads of image data: for users with a token, for hosts with a signed URL."""

from functools import partial

from fastapi import Request, Response

from skywright.auth.signatures import Signatures, image_data_path
from skywright.http import Context, Forbidden, NotFound, Router
from skywright.http.policy import on_target, with_rules
from skywright.http.streaming import FileContent, read
from skywright.services.image.access import permitted_image
from skywright.services.image.replicas import Replicas
from skywright.services.image.store import Store
from skywright.services.image.tables import WITH_DATA, Image

router = Router()


@router.get("/v2/images/{image_id}/file")
@with_rules(on_target("download_image"))
async def download_data(request: Request, image_id: str) -> Response:
    settings = request.app.state.cloud.settings
    signed = "signature" in request.query_params
    find = _by_signature if signed else _by_token
    row = await read(request, partial(find, image_id=image_id), anonymous=signed)
    if row.status not in WITH_DATA:
        return Response(status_code=204)
    digest = row.os_hash_value or ""
    path = Store(settings.image_dir).find(row.id, digest)
    response: Response | None
    if path is not None:
        response = FileContent(path)
    else:
        response = await Replicas(settings).relay(row.id, digest, request.headers)
    if response is None:
        raise NotFound(f"The data of image {image_id} could not be found.")
    response.headers["Content-Type"] = "application/octet-stream"
    if row.checksum and "range" not in request.headers:
        response.headers["Content-MD5"] = row.checksum
    return response


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
