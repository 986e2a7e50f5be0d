"""Routes: policy, transactions and JSON for handlers that are plain functions of a Context."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response

from skywright.errors import Unauthorized
from skywright.http import audit
from skywright.http.access import permitted
from skywright.http.context import Context
from skywright.http.policy import OnTarget, Rules, rules_of, with_rules
from skywright.http.retry import retry

if TYPE_CHECKING:
    from skywright.cloud import Cloud

Handler = Callable[..., Any]
READS = frozenset({"GET", "HEAD"})


def json_response(body: Any, status: int = 200) -> Response:
    """Return a response with *body* as JSON; None is an empty body."""
    if body is None:
        return Response(status_code=status)
    try:
        content = orjson.dumps(body)
    except TypeError:  # keys that are not strings; supporting them in the first call would make long lists 50 % slower
        content = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, media_type="application/json")


def cloud_of(request: Request) -> "Cloud":
    """Return the cloud of *request*: its application's, or the one that a planned request contains."""
    cloud: Cloud = getattr(request.state, "cloud", None) or request.app.state.cloud
    return cloud


@contextmanager
def request_context(
    request: Request, *, write: bool, plannable: bool = False, anonymous: bool = False
) -> Iterator[Context]:
    """Open the context of *request* in one transaction, after its route's rule was enforced (not if *anonymous*).

    A request that does more than its transaction is not *plannable*.
    """
    cloud = cloud_of(request)
    database = cloud.database
    rules = None if anonymous else rules_of(request)
    with database.write() if write else database.read() as session:
        token = cloud.authenticate(session, request.headers.get("x-auth-token"))
        pending = audit.current()
        if pending is not None:
            pending.token = token
            pending.expected = request.scope["route"].status_code or 200
        if token is not None and not permitted(request, token.access_rules):
            raise Unauthorized("The application credential's access rules do not allow this request.")
        context = Context(cloud, request, session, request.state.request_id, token)
        if rules is not None:
            context.admit(rules)
        if not plannable:
            context.refuse_plan("it does more than change records.")
        yield context
        if isinstance(rules, OnTarget) and not any(key[0] in rules.alternatives for key in context.decided):
            raise RuntimeError(f"{request.method} {request.url.path} enforced none of {', '.join(rules.alternatives)}")


class Router(APIRouter):
    """An APIRouter whose handlers take a Context first and return the data of the JSON body.

    `@router.operation("POST", "/flavors", policy="os_compute_api:os-flavor-manage:create")`: *policy* is the rule, or
    several rules (see `with_rules`, `on_target`); None means that no token is needed; *status* is the success code. A
    handler may return a Response instead.

    Handlers are synchronous and run in a thread; a transaction spans the handler, read-only for GET and HEAD.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(redirect_slashes=False, **options)

    def operation(
        self,
        method: str,
        path: str,
        *,
        policy: Rules,
        status: int = 200,
        write: bool | Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a handler. *write*: whether it needs a write transaction, or a function of its values that says so;
        by default the method decides.
        """
        default = method not in READS if write is None else write

        def register(handler: Handler) -> Handler:
            signature = inspect.signature(handler, eval_str=True)
            parameters = list(signature.parameters.values())[1:]
            request = inspect.Parameter("__request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)

            @functools.wraps(handler)
            def endpoint(**values: Any) -> Response:
                request = values.pop("__request")
                pending = audit.current()
                if pending is not None:
                    pending.read(values)
                writes = default(values) if callable(default) else default
                made: list[Response] = []

                def attempt() -> None:
                    with request_context(request, write=writes, plannable=True) as context:
                        result = handler(context, **values)
                        response = result if isinstance(result, Response) else json_response(result, status)
                        if pending is not None:
                            pending.expected = response.status_code
                        made.append(response)

                retry(cloud_of(request).database, attempt, repeatable=writes or method in READS)
                return made[-1]

            endpoint.__signature__ = signature.replace(  # type: ignore[attr-defined]
                parameters=[request, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters)],
                return_annotation=Response,
            )
            self.add_api_route(
                path,
                with_rules(policy)(endpoint),
                methods=[method],
                status_code=status,
                name=handler.__name__,
                response_model=None,
            )
            return handler

        return register
