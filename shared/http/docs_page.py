"""The page at /docs: a service's OpenAPI document, to be read. No script, nothing from elsewhere.

Everything on it is read off the document; `templates/docs.html` lays it out.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from shared.events.event import Json
from shared.http.schema_text import in_words

_FOLDER = Path(__file__).parent / "templates"
_PAGES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True)
_CODE = re.compile("`([^`]+)`")
_PORTS = {"intake": 8081, "ledger": 8082}
_WHERE = {"path": "in the address", "query": "in the query", "header": "as a header"}


def _with_code(text: str) -> Markup:
    """Words in backticks as code; everything is escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - just escaped


_PAGES.filters["told"] = _with_code


@dataclass(frozen=True, slots=True)
class Member:
    """A row of a table of members."""

    name: str
    form: str
    needed: bool
    told: str
    link: str


def page(service: str, document: Json) -> tuple[str, str]:
    """The page, and the Content-Security-Policy that allows it its style and nothing else."""
    style = (_FOLDER / "docs.css").read_text()
    schemas = document["components"]["schemas"]
    text = _PAGES.get_template("docs.html").render(
        info=document["info"],
        service=service,
        style=style,
        port=_PORTS[service],
        operations=list(_operations(service, document)),
        person=_person(document),
        tables={name: _members(each) for name, each in schemas.items()},
        schemas={name: each for name, each in schemas.items() if _is_shape(name)},
        problems={name: each for name, each in schemas.items() if name.startswith("problem.")},
        types=_types(document),
        attributes=[
            _member(name.removeprefix("attribute."), each, needed=False)
            for name, each in schemas.items()
            if name.startswith("attribute.")
        ],
    )
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    return text, (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _members(schema: Json) -> list[Member]:
    needed = schema.get("required", ())
    told = schema.get("properties", {}).items()
    return [_member(name, each, needed=name in needed) for name, each in told]


def _member(name: str, schema: Json, *, needed: bool) -> Member:
    inner = schema.get("items", schema)
    link = inner.get("$ref", "").rpartition("/")[2]
    return Member(name, in_words(schema), needed, schema.get("description", ""), link)


def _is_shape(name: str) -> bool:
    return not name.startswith(("problem.", "attribute.")) and "." not in name


def _types(document: Json) -> list[Json]:
    """The event types with their examples, where a service takes events."""
    schemas = document["components"]["schemas"]
    told = _examples(document)
    return [
        {
            "name": name,
            "told": schemas[name]["description"],
            "data": f"{name}.data",
            "example": json.dumps(each["value"]["data"], indent=2, ensure_ascii=False),
        }
        for name, each in told.items()
    ]


def _examples(document: Json) -> Json:
    """The examples of what is posted, by type."""
    match document["paths"]:
        case {"/events": {"post": {"requestBody": {"content": content}}}}:
            found: Json = next(iter(content.values()))["examples"]
            return found
        case _:
            return {}


def _person(document: Json) -> str:
    """Whose token the examples need."""
    for each in _examples(document).values():
        return str(each["value"]["subject"])
    for path in document["paths"].values():
        for parameter in path.get("get", {}).get("parameters", ()):
            if parameter["name"] == "subject":
                return str(parameter["example"])
    return ""


def _operations(service: str, document: Json) -> Iterator[Json]:
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            yield {
                **each,
                "method": method.upper(),
                "path": path,
                "where": _WHERE,
                "curl": _curl(f"$FIRSTHAND_{service.upper()}_URL", path, each),
                "parameters": [
                    {**parameter, "form": in_words(parameter["schema"])}
                    for parameter in each.get("parameters", ())
                ],
            }


def _curl(base: str, path: str, operation: Json) -> str:
    """A line to paste; it asks for the operation's own example."""
    asked = []
    for parameter in operation.get("parameters", ()):
        name, example = parameter["name"], str(parameter.get("example", ""))
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", example)
        elif parameter["in"] == "query" and parameter.get("required"):
            asked.append(f"{name}={example}")
    query = f"?{'&'.join(asked)}" if asked else ""
    lines = [f'curl -sS "{base}{path}{query}"']
    if "security" in operation:
        lines.append('-H "Authorization: Bearer $FIRSTHAND_TOKEN"')
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        example = next(iter(body["examples"].values()))["value"]
        lines.append(f"-H {shlex.quote(f'Content-Type: {media_type}')}")
        lines.append(f"-d {shlex.quote(json.dumps(example, indent=2, ensure_ascii=False))}")
        break
    if "application/octet-stream" in operation["responses"]["200"].get("content", {}):
        lines.append(f"-o {operation['operationId']}")
    return " \\\n  ".join(lines)
