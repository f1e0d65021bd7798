"""How long things may be."""

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


def median_function(sources: Iterable[Source]) -> float:
    """The median length of our functions."""
    return median(length(each) for source in sources for each in functions(source))


def all_lines(sources: Iterable[Source]) -> int:
    """All lines of these files."""
    return sum(len(source.text.splitlines()) for source in sources)
