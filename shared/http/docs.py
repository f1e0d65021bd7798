"""The page at /docs: Swagger UI over /openapi.json, with its files served from here."""

from importlib.resources import files
from pathlib import Path

from flask import Response, send_from_directory

from shared.errors import NotFound

_OURS = Path(__file__).parent / "static"
_SWAGGER_UI = Path(str(files("flask_swagger_ui"))) / "dist"
FILES = {"docs.js": _OURS, "swagger-ui-bundle.js": _SWAGGER_UI, "swagger-ui.css": _SWAGGER_UI}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs() -> Response:
    """Return the page. Its policy lets it load nothing from another host, and no inline script."""
    response = send_from_directory(_OURS, "docs.html", conditional=False)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def docs_file(name: str) -> Response:
    """Return a script or style of the page; NotFound for any other name."""
    if name not in FILES:
        raise NotFound
    return send_from_directory(FILES[name], name, conditional=False)
