"""No function of verify.py was copied from our code: then it would make our mistakes."""

import ast
from pathlib import Path

from services import verify
from tests.house.files import ROOT, project


def bodies(tree: ast.Module) -> set[str]:
    """Return the bodies of functions of more than three statements, docstrings left out."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {ast.dump(ast.Module(node.body[1:], [])) for node in functions if len(node.body) > 3}


def test_no_function_of_verify_was_copied_from_our_code() -> None:
    theirs = Path(verify.__file__)
    second_opinion = bodies(ast.parse(theirs.read_text()))
    assert len(second_opinion) > 20
    sources = [source for source in project() if source.is_ours_to_run]
    copies = [source.path for source in sources if second_opinion & bodies(source.tree)]
    assert copies == [theirs.relative_to(ROOT).as_posix()]
