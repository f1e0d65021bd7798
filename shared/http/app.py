"""What both services do the same over HTTP: problems, liveness, who is calling, one log line.

Every answer that is not a success is problem+json, 404, 405, 413 and 415 too; what nobody
foresaw is logged and answered as a plain 500 that says nothing of what was inside.
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

BEGAN = "firsthand.began"  # in a request's environ: seconds of the process's clock
PROBLEM = "firsthand.problem"  # there too: why its body was not read
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
    """What is known of a request with a body, by its headers: who is calling, and the most bytes
    that its body may have. A Problem says why the body is not read.
    """

    def known(self, environ: Environ) -> tuple[str, int] | None:
        """Without waiting for anything; None if that takes `ask`."""

    def ask(self, environ: Environ) -> tuple[str, int]:
        """The same, in a thread that may wait."""


class Service(Flask):
    """A Flask application of views that are plain functions, which knows when a request began.

    Flask asks of every view and hook, each time, whether it is a coroutine; none is. `accepts` are
    the methods and paths whose bodies are read (shared/http/rsgi.py); of all others none is.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accepts: dict[tuple[str, str], BodyPolicy] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is."""
        return func

    def wsgi_app(self, environ: Json, start_response: "StartResponse") -> Iterable[bytes]:
        """As Flask's own; a hook would cost as much as the rest of what it does before a view."""
        environ[BEGAN] = time.perf_counter()
        return super().wsgi_app(environ, start_response)

    def preprocess_request(self) -> None:
        """Raise why the body was not read. Nothing else comes before a view: there are no hooks."""
        problem = request_ctx.request.environ.get(PROBLEM)
        if problem is not None:
            raise problem


def as_json(members: object, status: int = 200) -> Response:
    """A JSON answer, in one piece: passed straight through, the server need not ask for it."""
    return Response(
        orjson.dumps(members), status, content_type="application/json", direct_passthrough=True
    )


def require_caller(callers: Callers, scope: str) -> Caller:
    """Who is calling; Unauthorised or, without the scope, Forbidden."""
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
    """Give an app its problems, /livez, /readyz, /metrics and /problems, and its log lines.

    `ready` says in words why the service is not ready, or None; `details` are further members of
    /readyz, whether it is ready or not.
    """
    figures = registry or CollectorRegistry()
    requests = RequestMetrics(figures)
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
        return Response(generate_latest(figures), content_type=MEDIA_TYPE)

    @app.get("/problems/<slug>")
    def problem(slug: str) -> Response:
        kind = PROBLEMS.get(slug)
        if kind is None:
            raise errors.NotFound
        told = {"type": f"/problems/{slug}", "title": kind.title, "remedy": kind.remedy}
        return as_json(told | {"meaning": (kind.__doc__ or "").strip()})


def describe(app: Flask, document: Callable[[], Json]) -> None:
    """Add /openapi.json, which is built at the first request, and /docs, its page."""
    body = cache(lambda: orjson.dumps(document()))

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(body(), mimetype="application/json")

    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/<name>", view_func=docs_file)


def problem_response(problem: Problem) -> Response:
    """A problem as an HTTP answer."""
    return Response(
        problem_json(problem), problem.status, problem.headers, mimetype=PROBLEM_MEDIA_TYPE
    )


def _http(fault: HTTPException) -> Response:
    """Flask's and Werkzeug's own errors, in our form; their headers (Allow) are kept."""
    kind = _BY_STATUS.get(fault.code or 500, errors.MalformedBody)
    if isinstance(fault, MethodNotAllowed):
        problem = kind(f"This address takes {', '.join(sorted(fault.valid_methods or ()))}.")
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
    log_line.error("unforeseen", route=str(request.url_rule), exc_info=fault)
    return problem_response(errors.InternalError("Something of ours failed while answering this."))


def _log(service: str, requests: RequestMetrics, response: Response) -> Response:
    """One line a request: never its body, never a token, never a query."""
    asked, kept = request_ctx.request, app_ctx.g  # rather than proxies: each look through one costs
    caller: Caller | None = kept.get("caller")
    trace = kept.get("trace") or trace_of(asked.environ.get("HTTP_TRACEPARENT"))
    route, began = str(asked.url_rule or "none"), asked.environ[BEGAN]
    seconds = time.perf_counter() - began
    requests.record(route, response.status_code, seconds)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code >= 400 or caller is not None:
        response.headers.setdefault("Cache-Control", "no-store")
    log_line.info(
        "request",
        service=service,
        method=asked.method if asked.url_rule else None,  # anything may stand there
        route=route,
        status=response.status_code,
        caller=caller.subject if caller else None,
        milliseconds=round(seconds * 1000, 2),
        **({"trace": trace} if trace else {}),
    )
    return response
