"""The yardstick: a bare Flask route that reads a JSON body and answers 202 with JSON."""

from flask import Flask, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.post("/events")
def echo() -> ResponseReturnValue:
    """Check nothing, store nothing."""
    return request.get_json(force=True), 202
