"""Checks of a `python` grader's source before it is run. Source: OpenAI grader contract, 5.7."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MAX_BYTES = 256 * 1024


def check_source(source: str) -> str:
    """The source, when it is Python that defines `grade(sample, item)` at its top level.

    Raises:
        ValueError: it is too large, is no Python, or defines no such function; says which, with the line.
    """
    size = len(source.encode(errors="replace"))
    if size >= MAX_BYTES:
        raise ValueError(f"it has {size} bytes; less than {MAX_BYTES} are taken")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno} is not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is not Python: {error or 'nested too deeply'}") from None
    found = [statement for name, statement in _bound(tree) if name == "grade"]
    if not found:
        raise ValueError("it does not define grade(sample, item)")
    last = found[-1]
    if isinstance(last, ast.AsyncFunctionDef):
        raise ValueError(f"line {last.lineno}: grade is an async function; it must be a plain one")
    if isinstance(last, ast.FunctionDef) and not _takes_two(last.args):
        raise ValueError(f"line {last.lineno}: grade must take two arguments, sample and item")
    return source


def _bound(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Names that the module binds, in `if`, `try`, `for` and `with` as well, with their statements, in order."""
    waiting: list[ast.AST] = [tree]  # Not by recursion: a long elif is nested as deeply as it is long.
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    yield alias.asname or alias.name, node
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, node
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
            case ast.Module() | ast.stmt() | ast.ExceptHandler() | ast.match_case():
                waiting += reversed(list(ast.iter_child_nodes(node)))
            case _:
                continue  # An expression binds no name that counts here.


def _takes_two(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults)
    keyword_only = sum(default is None for default in arguments.kw_defaults)
    return needed <= 2 and (positional >= 2 or arguments.vararg is not None) and not keyword_only
