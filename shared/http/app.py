"""Flask base of both services: error handlers, health routes, authentication, request log.

Every error response is problem+json, including 404, 405, 413 and 415. An unhandled exception is
logged and answered with a plain 500 that reveals nothing internal.
"""

import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import structlog
from flask import Flask, Response, g, request
from flask.globals import app_ctx, request_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shared import errors
from shared.auth.tokens import Caller, Callers
from shared.errors import Problem
from shared.events.event import Json
from shared.http.docs import docs, docs_file
from shared.http.metrics import MEDIA_TYPE, CollectorRegistry, RequestMetrics, generate_latest
from shared.http.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from shared.http.problems import PROBLEMS, problem_json
from shared.tracing import trace_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

BEGAN = "firsthand.began"  # in a request's environ: its start, by `time.perf_counter`
PROBLEM = "firsthand.problem"  # in a request's environ: the Problem why its body was not read
log_line = structlog.get_logger()
_BY_STATUS: dict[int, type[Problem]] = {
    400: errors.MalformedBody,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}


Environ = dict[str, Any]


class BodyPolicy(Protocol):
    """Decides by the headers of a request whether its body is read.

    Both methods return the caller and the maximum size of the body in bytes. They raise a Problem
    if the body must not be read.
    """

    def known(self, environ: Environ) -> tuple[str, int] | None:
        """Decide without blocking; return None if only `ask` can decide."""

    def ask(self, environ: Environ) -> tuple[str, int]:
        """Decide in a thread that may block."""


class Service(Flask):
    """A Flask application without coroutines that records the start of each request.

    `accepts` are the methods and paths whose bodies are read (shared/http/rsgi.py). The bodies of
    all other requests are ignored.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accepts: dict[tuple[str, str], BodyPolicy] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged, without Flask's check for coroutines per call."""
        return func

    def wsgi_app(self, environ: Json, start_response: "StartResponse") -> Iterable[bytes]:
        """Record the start of the request. A `before_request` hook would cost far more."""
        environ[BEGAN] = time.perf_counter()
        return super().wsgi_app(environ, start_response)

    def preprocess_request(self) -> None:
        """Raise the Problem why the body was not read. There are no other hooks before a view."""
        problem = request_ctx.request.environ.get(PROBLEM)
        if problem is not None:
            raise problem


def as_json(members: object, status: int = 200) -> Response:
    """Return a JSON response that is sent in one piece (`direct_passthrough`)."""
    return Response(
        orjson.dumps(members), status, content_type="application/json", direct_passthrough=True
    )


def require_caller(callers: Callers, scope: str) -> Caller:
    """Authenticate the caller; raise Unauthorized or, without the scope, Forbidden."""
    caller = callers.of(request.headers.get("Authorization"))
    if scope not in caller.scopes:
        raise errors.Forbidden(f"This needs a token with the scope '{scope}'.")
    g.caller = caller
    return caller


def install(
    app: Service,
    service: str,
    ready: Callable[[], str | None],
    registry: CollectorRegistry | None = None,
    details: Callable[[], Json] = dict,
) -> None:
    """Add error handlers, /livez, /readyz, /metrics, /problems and the request log to an app.

    `ready` returns why the service is not ready, or None. `details` returns further members of
    /readyz, whether it is ready or not.
    """
    registry = registry or CollectorRegistry()
    requests = RequestMetrics(registry)
    app.register_error_handler(Problem, problem_response)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unhandled)
    app.after_request(lambda response: _log(service, requests, response))

    @app.get("/livez")
    def livez() -> Response:
        return as_json({"alive": True})

    @app.get("/readyz")
    def readyz() -> Response:
        why = ready()
        members = {"ready": why is None, **({"why": why} if why else {}), **details()}
        return as_json(members, 503 if why else 200)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=MEDIA_TYPE)

    @app.get("/problems/<slug>")
    def problem(slug: str) -> Response:
        kind = PROBLEMS.get(slug)
        if kind is None:
            raise errors.NotFound
        members = {"type": f"/problems/{slug}", "title": kind.title, "remedy": kind.remedy}
        return as_json(members | {"meaning": (kind.__doc__ or "").strip()})


def describe(app: Flask, document: Callable[[], Json]) -> None:
    """Add /openapi.json, which is built at the first request, and /docs, its page."""
    body = cache(lambda: orjson.dumps(document()))

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(body(), mimetype="application/json")

    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/<name>", view_func=docs_file)


def problem_response(problem: Problem) -> Response:
    """Return the HTTP response for a problem."""
    return Response(
        problem_json(problem), problem.status, problem.headers, mimetype=PROBLEM_MEDIA_TYPE
    )


def _http(fault: HTTPException) -> Response:
    """Convert errors of Flask and Werkzeug to problem responses; keep headers such as Allow."""
    kind = _BY_STATUS.get(fault.code or 500, errors.MalformedBody)
    if isinstance(fault, MethodNotAllowed):
        methods = ", ".join(sorted(fault.valid_methods or ()))
        problem = kind(f"This address supports {methods}.")
    else:
        problem = kind() if kind is errors.NotFound else kind(fault.description or kind.title)
    if fault.code not in _BY_STATUS and fault.code is not None:
        problem.status = fault.code
    response = problem_response(problem)
    for name, value in fault.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _unhandled(fault: Exception) -> Response:
    log_line.error("unhandled_exception", route=str(request.url_rule), exc_info=fault)
    return problem_response(errors.InternalError("The service failed to answer this request."))


def _log(service: str, requests: RequestMetrics, response: Response) -> Response:
    """Log one line per request, without its body, its token, and its query."""
    current, context = request_ctx.request, app_ctx.g  # Flask's proxies cost more per access
    caller: Caller | None = context.get("caller")
    trace = context.get("trace") or trace_of(current.environ.get("HTTP_TRACEPARENT"))
    route, began = str(current.url_rule or "none"), current.environ[BEGAN]
    seconds = time.perf_counter() - began
    requests.record(route, response.status_code, seconds)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code >= 400 or caller is not None:
        response.headers.setdefault("Cache-Control", "no-store")
    log_line.info(
        "request",
        service=service,
        method=current.method if current.url_rule else None,  # an unknown method may be any text
        route=route,
        status=response.status_code,
        caller=caller.subject if caller else None,
        milliseconds=round(seconds * 1000, 2),
        **({"trace": trace} if trace else {}),
    )
    return response
