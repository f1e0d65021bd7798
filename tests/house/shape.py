"""How long things may be, and what must stand at their head."""

import ast
from collections.abc import Iterable, Iterator
from statistics import median

from tests.house.files import Finding, Source

LONGEST_FUNCTION = 50
MEDIAN_FUNCTION = 8
LONGEST_FILE = 450
# It goes to whoever trusts none of us: one file, and alone.
ONE_FILE = {"services/verify.py": 1_150}

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[AnyFunction]:
    """Every function and method of a file."""
    return (node for node in ast.walk(source.tree) if isinstance(node, AnyFunction))


def length(function: AnyFunction) -> int:
    """Lines from `def` to the end; what is said in the docstring costs nothing."""
    first = function.body[0]
    said = first.end_lineno or first.lineno
    docstring = said - first.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def no_long_function(source: Source) -> Iterator[Finding]:
    """A function fits one screen."""
    for function in functions(source) if source.is_python else ():
        if (lines := length(function)) > LONGEST_FUNCTION:
            says = f"{function.name} has {lines} lines; give its parts names ({LONGEST_FUNCTION})"
            yield source.find(function, says)


def no_long_file(source: Source) -> Iterator[Finding]:
    """A file has one subject."""
    limit = ONE_FILE.get(source.path, LONGEST_FILE)
    if source.is_python and (lines := len(source.text.splitlines())) > limit:
        says = f"{lines} lines; move one of its subjects to a file of its own ({limit})"
        yield Finding(source.path, lines, says)


def no_print(source: Source) -> Iterator[Finding]:
    """Only the command line speaks to a terminal; a test asserts."""
    if not source.is_python or source.path.startswith(("services/cli/", "tests/benchmarks/")):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "print":
            remedy = "log it" if source.is_ours_to_run else "assert it"
            yield source.find(node, f"print outside services/cli/; {remedy}")


def no_silence(source: Source) -> Iterator[Finding]:
    """Everything public says what it is for."""
    if not source.is_ours_to_run or "/migrations/" in source.path:
        return
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "no docstring; say what this file is for")
    for node in public(source.tree):
        if not ast.get_docstring(node):
            yield source.find(node, f"{node.name} has no docstring; say what it promises")


def public(node: ast.Module | ast.ClassDef) -> Iterator[AnyFunction | ast.ClassDef]:
    """Public classes and functions of a file, and the public methods of those classes."""
    for child in node.body:
        if isinstance(child, AnyFunction | ast.ClassDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def median_function(sources: Iterable[Source]) -> float:
    """The median length of our functions."""
    return median(length(each) for source in sources for each in functions(source))


def all_lines(sources: Iterable[Source]) -> int:
    """All lines of these files."""
    return sum(len(source.text.splitlines()) for source in sources)
