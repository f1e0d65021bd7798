"""OpenAPI 3.1 of a service: what its code knows of its routes, as data.

Each route is an `Operation` in the `described.py` of its service; `document` puts them together.
A problem brings its status, `type`, members and headers along, so that an operation only names
it. A test compares operations with routes: a route that nobody described fails there.

>>> livez = Operation("GET", "/people/<subject>", "livez", "Alive?", {200: Answer("Yes.")})
>>> told = document("ledger", "What it is for.", [livez], {})
>>> list(told["paths"]), list(told["paths"]["/people/{subject}"]["get"]["responses"])
(['/people/{subject}'], ['200', '500'])
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from shared.errors import InternalError, Problem, Refused
from shared.events.event import Json
from shared.events.refusals import Code
from shared.http.problems import MEDIA_TYPE

TEXT: Json = {"type": "string"}
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
HEADERS: dict[str, tuple[str, Json]] = {
    "Allow": ("The methods that this address takes.", TEXT),
    "Cache-Control": ("Who may keep the answer, and for how long.", TEXT),
    "Content-Security-Policy": ("What the page may load: nothing.", TEXT),
    "ETag": ("A hash of the body, for If-None-Match.", TEXT),
    "Link": ("Leads to the next page, where there is one (RFC 8288).", TEXT),
    "Location": ("The path of the event's fate at the ledger.", TEXT),
    "Preference-Applied": ("`wait`: the answer came after waiting (RFC 7240).", {"const": "wait"}),
    "Retry-After": ("Seconds until it is worth while.", {"type": "string", "pattern": "^[0-9]+$"}),
    "Vary": ("The request headers on which the answer depends.", TEXT),
    "WWW-Authenticate": ("How to say who is speaking (RFC 6750).", TEXT),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a request may say outside its body, or must; one in the path is always said."""

    name: str
    where: str
    told: str
    schema: Json
    example: object = None
    required: bool = False

    def shown(self) -> Json:
        """The parameter object."""
        shown: Json = {
            "name": self.name,
            "in": self.where,
            "description": self.told,
            "schema": self.schema,
        }
        if self.required or self.where == "path":
            shown["required"] = True
        return shown if self.example is None else shown | {"example": self.example}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem: `content` holds a schema for each media type, `headers` the
    names of those that always come; `sometimes` of those that may.
    """

    told: str
    content: Mapping[str, Json] | None = None
    headers: Sequence[str] = ()
    sometimes: Sequence[str] = ()

    def shown(self) -> Json:
        """The response object."""
        shown: Json = {"description": self.told}
        if self.content:
            shown["content"] = {kind: {"schema": each} for kind, each in self.content.items()}
        headers = _headers(self.headers, self.sometimes)
        return shown | ({"headers": headers} if headers else {})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address. `rule` is Flask's; `body` a media type object for each media
    type; without a `scope` no token is looked at. A problem of ours is possible everywhere.
    """

    method: str
    rule: str
    name: str
    told: str
    answers: Mapping[int, Answer]
    problems: Sequence[type[Problem]] = ()
    parameters: Sequence[Parameter] = ()
    body: Mapping[str, Json] | None = None
    scope: str | None = None
    anybody: bool = False
    more: str = ""

    @property
    def path(self) -> str:
        """The address as OpenAPI writes it."""
        return path_of(self.rule)

    def shown(self) -> Json:
        """The operation object."""
        shown: Json = {"operationId": self.name, "summary": self.told}
        if self.more:
            shown["description"] = self.more
        if self.scope is not None:
            shown["security"] = [*([{}] if self.anybody else []), {"bearer": self.scope.split()}]
        if self.parameters:
            shown["parameters"] = [each.shown() for each in self.parameters]
        if self.body is not None:
            shown["requestBody"] = {"required": True, "content": dict(self.body)}
        responses = {str(status): each.shown() for status, each in self.answers.items()}
        return shown | {"responses": responses | _problems((*self.problems, InternalError))}


def path_of(rule: str) -> str:
    """A rule of Flask's as OpenAPI writes it."""
    return _VARIABLE.sub(r"{\1}", rule)


def schema(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def document(
    service: str, told: str, operations: Iterable[Operation], schemas: Mapping[str, Json]
) -> Json:
    """The whole document. Faults and problems are added to the schemas."""
    paths: dict[str, Json] = defaultdict(dict)
    met: set[type[Problem]] = {InternalError}
    for each in operations:
        paths[each.path][each.method.lower()] = each.shown()
        met.update(each.problems)
    problems = {f"problem.{kind.slug}": _problem(kind) for kind in sorted(met, key=_by_status)}
    components: Json = {"schemas": {**schemas, "fault": _FAULT, **problems}}
    components["securitySchemes"] = {"bearer": _BEARER}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Firsthand: {service}",
            "version": version("firsthand"),
            "description": told,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that serves this document."}],
        "paths": dict(paths),
        "components": components,
    }


def _by_status(kind: type[Problem]) -> tuple[int, str]:
    return kind.status, kind.slug


def _headers(always: Iterable[str], sometimes: Iterable[str] = ()) -> Json:
    found = {}
    for names, required in ((always, True), (sometimes, False)):
        for name in names:
            told, form = HEADERS[name]
            found[name] = {"description": told, "required": required, "schema": form}
    return found


def _problems(kinds: Iterable[type[Problem]]) -> Json:
    """The responses that are problems, by status; one status may have several."""
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    for kind in kinds:
        for status in (kind.status, *kind.other_statuses):
            by_status[status].append(kind)
    return {str(status): _together(by_status[status]) for status in sorted(by_status)}


def _together(kinds: Sequence[type[Problem]]) -> Json:
    references = [schema(f"problem.{kind.slug}") for kind in kinds]
    always = set.intersection(*(set(kind.response_headers) for kind in kinds))
    some = set.union(*(set(kind.response_headers) for kind in kinds)) - always
    answer = Answer(
        " Or: ".join(f"{kind.title}. {kind.remedy}" for kind in kinds),
        {MEDIA_TYPE: references[0] if len(references) == 1 else {"oneOf": references}},
        sorted(always),
        sorted(some),
    )
    return answer.shown()


def _problem(kind: type[Problem]) -> Json:
    statuses = sorted({kind.status, *kind.other_statuses})
    extra: Json = _REFUSED if kind is Refused else {}
    properties: dict[str, Any] = {
        "type": {"const": f"/problems/{kind.slug}"},
        "title": {"const": kind.title},
        "status": {"enum": statuses},
        "detail": {"type": "string"},
        "errors": {"type": "array", "minItems": 1, "items": schema("fault")},
    }
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "properties": properties | extra,
        "required": ["type", "title", "status", "detail", *extra],
    }


_BEARER: Json = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token (RFC 9068) of an issuer that this service is told to trust.",
}
_FAULT: Json = {
    "type": "object",
    "description": "One thing that is wrong: where (RFC 6901), which kind, and in words.",
    "properties": {
        "pointer": {"type": "string", "pattern": "^(?:/.*)?$"},
        "code": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "detail": {"type": "string", "minLength": 1},
    },
    "required": ["pointer", "code", "detail"],
    "additionalProperties": False,
}
_REFUSED: Json = {
    "recorded": {"const": True},
    "code": {"enum": [code.value for code in Code]},
    "receipt": schema("receipt"),
}
