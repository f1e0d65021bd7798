r"""The corpus of hostile requests: what each file holds, and how it becomes bytes.

`corpus/<class>/<name>.yaml`, one request each, and what must be answered:

    send      the body, as UTF-8 (or `octets`, each code point one of them); absent: no body
    headers   over those of a good event; null leaves one out. Each code point is a byte
    method, target, service   POST, /events, intake
    author, scopes            whose token is sent: person:hostile, "read write share"
    raw       the whole request, as bytes, instead of all that; only a real server can read it
    status    of the answer
    problem   the last part of the `type`; absent where the server answers before we are asked
    errors    each fault's pointer and code

`{{x*3}}` stands for xxx in all of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "corpus"
_MANY = re.compile(r"\{\{(.*?)\*(\d+)\}\}", re.DOTALL)
_GOOD = {"Host": "localhost", "Content-Type": "application/cloudevents+json"}


@dataclass(frozen=True)
class Case:
    """One hostile request and its answer."""

    name: str
    status: int
    send: str | None = None
    octets: str | None = None
    raw: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    method: str = "POST"
    target: str = "/events"
    service: str = "intake"
    author: str = "person:hostile"
    scopes: str = "read write share"
    problem: str | None = None
    errors: list[str] = field(default_factory=list)

    @cached_property
    def body(self) -> bytes:
        """What is sent after the headers."""
        if self.octets is not None:
            return _whole(self.octets).encode("latin-1")
        return _whole(self.send or "").encode()

    @property
    def target_whole(self) -> str:
        """The address that is asked."""
        return _whole(self.target)

    def head(self, token: str) -> dict[str, str]:
        """The headers, in order; all but Content-Length, unless the case says one."""
        given = {**_GOOD, "Authorization": f"Bearer {token}", **self.headers}
        return {name: _whole(value) for name, value in given.items() if value is not None}

    def request(self, token: str) -> bytes:
        """The request, as it goes over a socket."""
        if self.raw is not None:
            return _whole(self.raw).replace("<token>", token).encode("latin-1")
        head = {"Content-Length": str(len(self.body)), **self.head(token), "Connection": "close"}
        lines = [f"{self.method} {self.target_whole} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def _whole(text: str) -> str:
    return _MANY.sub(lambda found: found[1] * int(found[2]), text)


def cases() -> Iterator[Case]:
    """Every file of the corpus."""
    for path in sorted(FOLDER.glob("*/*.yaml")):
        told = yaml.safe_load(path.read_text())
        yield Case(name=path.relative_to(FOLDER).with_suffix("").as_posix(), **told)
