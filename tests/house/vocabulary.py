"""Words that prose avoids, identifiers that say nothing, and names that too many modules define.

CONTRIBUTING.md states the style. Texts that a person reads about their own plan are free.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.house.files import Finding, Source
from tests.house.words import names

# The columns of a migration are named as the tables are.
EXEMPT = ("services/ledger/store/migrations/",)

# Texts that a person reads about their own plan: sentences, the catalogue, reasons of a refusal.
FOR_PERSONS = (
    "services/ledger/presentation/",
    "shared/events/catalogue/",
    "shared/events/refusals.py",
    "services/operations/demo_story.py",
)
AVOIDED = {
    "told": "say what is reported, logged or returned",
    "whoever": "name the actor: caller, worker, operator, author",
    "anew": "again",
    "heed": "check, obey",
    "heeds": "checks, obeys",
    "heeded": "checked, obeyed",
    "mend": "correct, repair, fix",
    "mends": "corrects, repairs, fixes",
    "mended": "corrected, repaired, fixed",
    "bears": "has, contains",
    "lies": "is",
    "stands beside": "is shown with, is stored with",
    "as it stands": "unchanged",
    "of nobody": "orphaned, without an owner",
    "is none": "is invalid, is missing",
    "comes to": "reaches, equals",
}
ANY_AVOIDED = "|".join(AVOIDED).replace("is none", "(?-i:is none)").replace(" ", r"\s+")
# "If there is none" is plain; "an address that is none" is not.
AVOIDED_WORDS = re.compile(rf"(?<!there )\b(?:{ANY_AVOIDED})\b", re.IGNORECASE)
SAYS_NOTHING = {
    *("told", "said", "heard", "asked", "given", "kept", "found", "each", "odd", "place", "own"),
    *("there", "anew"),
}
SERIALIZED = {("services/verify.py", "found")}  # members of the report's JSON
CODE = re.compile(r"<!--.*?-->|^( *)```.*?^\1```$|`[^`]*`", re.DOTALL | re.MULTILINE)
GENERATED = "<!-- Written from the code by "  # its words are checked where the page comes from

MOST_MODULES = 3
# Verbs of the standard library, and names that a framework or a Protocol prescribes.
COMMON_NAMES = {
    *("add", "app", "close", "find", "from_bytes", "from_folder", "main", "open", "parse", "put"),
    *("read", "run", "size", "text", "tile", "upgrade"),
}
LEFT_TO_RENAME = {  # they do not say of what
    *(
        "ask",
        "at",
        "begin",
        "check",
        "end",
        "known",
        "line",
        "load",
        "logs",
        "newest",
        "of",
        "person",
    ),
    *("plan", "receipt", "take", "unreadable"),
}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def prose_is_plain(source: Source) -> Iterator[Finding]:
    """Docstrings, comments, messages and pages use words that people search for."""
    for line, text in _prose(source):
        for word in AVOIDED_WORDS.finditer(text):
            number = line + text[: word.start()].count("\n")
            phrase = " ".join(word[0].lower().split())
            yield Finding(source.path, number, f"{phrase}: {AVOIDED[phrase]}")


def _prose(source: Source) -> Iterator[tuple[int, str]]:
    """Yield each text of a file that is meant for readers, with its first line's number."""
    if source.path.endswith(".md") and not source.text.startswith(GENERATED):
        yield 1, CODE.sub(lambda code: "\n" * code[0].count("\n"), source.text)
    if not source.is_ours_to_run or source.path.startswith((*FOR_PERSONS, *EXEMPT)):
        return
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def names_say_what_they_hold(source: Source) -> Iterator[Finding]:
    """A name says what it holds: `response`, `rows`, `entry`; not `told` or `each`."""
    if not source.is_ours_to_run or source.path.startswith((*FOR_PERSONS, *EXEMPT)):
        return
    for node, name in names(source.tree):
        if name.strip("_") in SAYS_NOTHING and (source.path, name) not in SERIALIZED:
            yield source.find(node, f"{name}: name what it holds")


def reused_names(sources: Iterable[Source]) -> list[str]:
    """Return what to say of each public name that more than MOST_MODULES modules define.

    A name is that of a file, a class, a function or a method.
    """
    modules = defaultdict(set)
    for source in sources:
        if source.path.startswith((*FOR_PERSONS, *EXEMPT)):
            continue
        file = source.path.rpartition("/")[2]
        defined = {node.name for node in ast.walk(source.tree) if isinstance(node, DEFINITIONS)}
        for name in {file} | defined:
            if not name.startswith("_") and name not in COMMON_NAMES | LEFT_TO_RENAME:
                modules[name].add(source.path)
    return [
        f"{name}: {len(paths)} modules define it; name its subject ({', '.join(sorted(paths))})"
        for name, paths in sorted(modules.items())
        if len(paths) > MOST_MODULES
    ]
