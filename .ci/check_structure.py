"""Check the sizes of classes, functions, and parameter lists. Run by CI: python .ci/check_structure.py."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "autocrop"
MAX_CLASS_LINES = 200
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 7
MAX_TOP_LEVEL_MODULES = 10
PUBLIC_API = "api.py"
"""Its public functions may take any number of keyword arguments: they are what users type."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def problems() -> Iterator[str]:
    """Describe everything that is too large."""
    modules = sorted(PACKAGE.rglob("*.py"))
    top_level = [path for path in modules if path.parent == PACKAGE]
    if len(top_level) > MAX_TOP_LEVEL_MODULES:
        yield f"autocrop/ has {len(top_level)} modules beside its packages; the limit is {MAX_TOP_LEVEL_MODULES}."
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from _check_lines(path, node, _lines(node), MAX_CLASS_LINES)
            elif isinstance(node, Function):
                is_command = _is_command(path, node)
                lines = _body_lines(node) if is_command else _lines(node)
                yield from _check_lines(path, node, lines, MAX_FUNCTION_LINES)
                if not is_command:
                    yield from _check_parameters(path, node)


def _check_lines(path: Path, node: Function | ast.ClassDef, lines: int, limit: int) -> Iterator[str]:
    if lines > limit:
        yield f"{_place(path, node)} has {lines} lines; the limit is {limit}."


def _check_parameters(path: Path, node: Function) -> Iterator[str]:
    arguments = [*node.args.posonlyargs, *node.args.args]
    if arguments and arguments[0].arg in ("self", "cls"):
        arguments = arguments[1:]
    arguments += node.args.kwonlyargs
    if path.name == PUBLIC_API and path.parent == PACKAGE and not node.name.startswith("_"):
        return
    if len(arguments) > MAX_PARAMETERS:
        yield f"{_place(path, node)} takes {len(arguments)} parameters; the limit is {MAX_PARAMETERS}."


def _is_command(path: Path, node: Function) -> bool:
    """Return True for a Typer command, whose signature declares the options of the command line."""
    if path.parent != PACKAGE / "cli":
        return False
    annotations = [argument.annotation for argument in node.args.args if argument.annotation is not None]
    texts = [ast.unparse(annotation) for annotation in annotations]
    return any(text.startswith(("Annotated[", "options.", "cli.")) for text in texts)


def _lines(node: Function | ast.ClassDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _body_lines(node: Function) -> int:
    """Lines of a function without its signature."""
    assert node.end_lineno is not None
    return node.end_lineno - node.body[0].lineno + 1


def _place(path: Path, node: Function | ast.ClassDef) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"


if __name__ == "__main__":
    violations = list(problems())
    print("\n".join(violations) or "All classes, functions and signatures are within the limits.")
    sys.exit(bool(violations))
