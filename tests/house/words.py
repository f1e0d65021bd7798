"""Which words stand in the code, and which never do."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from services.client import http
from services.intake.app import IntakeSettings
from services.ledger.config import LedgerSettings
from shared import crashpoints
from shared.settings import variables
from tests.house.files import ROOT, Finding, Source

# Written so that these lines do not find themselves.
HOSTS = re.compile(r"\b(?:py" r"pi|python" r"hosted|npm" r"js|crates)\.(?:org|com|io)\b")
PLACES = re.compile(r"(?<![\w.:/-])/(?:wo" r"rk|ro" r"ot|ho" r"me|Us" r"ers)/\w+")
LOCK_ADDRESS = re.compile(r"://|^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b")

SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore)")
REASONED = re.compile(
    r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\])\W+\w+\W+\w+"
)

NOT_OUR_WORDS = {
    "user": "person, partner, author or caller",
    "users": "people, partners, authors or callers",
    "patient": "person",
    "patients": "people",
    "therapist": "partner",
    "therapists": "partners",
}
VARIABLE = re.compile(r"(?<![_A-Z])FIRSTHAND_[A-Z]+(?:_[A-Z]+)*(?![A-Z_{])")
PUBLISHED_PORTS = re.findall(r"ports: .*\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text())
VARIABLES = {*http.VARIABLES, crashpoints.VARIABLE, *PUBLISHED_PORTS} | {
    row[0] for row in variables(IntakeSettings, LedgerSettings)
}
PART_OF_A_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def search(source: Source, pattern: re.Pattern[str], says: str) -> Iterator[Finding]:
    """A finding for every line where a pattern is met."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if met := pattern.search(line):
            yield Finding(source.path, number, f"{met[0].strip()}: {says}")


def no_foreign_place(source: Source) -> Iterator[Finding]:
    """What is committed works anywhere: no registry's host, no folder of one machine."""
    yield from search(source, HOSTS, "name the package, not the host that serves it")
    yield from search(source, PLACES, "a folder of one machine; make it relative or a setting")


def no_address_in_a_lock(source: Source) -> Iterator[Finding]:
    """A lock names versions and hashes; where they come from is the installer's business."""
    if source.path.endswith(".lock"):
        yield from search(source, LOCK_ADDRESS, "no address in a lock; make lock")


def every_variable_exists(source: Source) -> Iterator[Finding]:
    """A message, a page or a compose file names only variables that something reads."""
    lines = [] if source.path.startswith("tests/") else source.text.splitlines()
    for number, line in enumerate(lines, 1):
        for name in VARIABLE.findall(line):
            if name.removesuffix("_FILE") not in VARIABLES:
                yield Finding(source.path, number, f"{name}: nothing reads it; declare a setting")


def every_exception_has_a_reason(source: Source) -> Iterator[Finding]:
    """A check that is switched off names the rule, and beside it why."""
    if not source.is_python:
        return
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        silenced = token.type == tokenize.COMMENT and SUPPRESSION.search(token.string)
        if silenced and not REASONED.search(token.string):
            says = "a silenced check; name its code and say why beside it"
            yield Finding(source.path, token.start[0], says)


def names(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr | ast.arg, str]]:
    """Every name that a file gives to something."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node, node.name
            case ast.arg():
                yield node, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node, node.attr
            case _:
                pass


def only_our_words(source: Source) -> Iterator[Finding]:
    """One word for one thing: a person is a person. (A test may name an account of the machine.)"""
    for node, name in names(source.tree) if source.is_ours_to_run else ():
        for part in PART_OF_A_NAME.findall(name):
            if better := NOT_OUR_WORDS.get(part.lower()):
                yield source.find(node, f"{name}: say {better}")
