"""A case of the corpus, asked of an application in this process."""

from io import BytesIO
from urllib.parse import unquote_to_bytes

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.hostile.corpus import Case


def ask(client: FlaskClient, case: Case, token: str) -> TestResponse:
    """The answer. Everything goes in as a WSGI server hands it on: bytes as latin-1."""
    path, _, query = case.target_whole.partition("?")
    environ = {
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(case.body)),
        "wsgi.input": BytesIO(case.body),
    }
    for name, value in case.head(token).items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return client.open("/", method=case.method, environ_overrides=environ)
