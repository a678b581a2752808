"""What the tidy tests look at: the project's own files, and the functions in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("flight_server", "control_api")
EVERYTHING = (*PRODUCT, "tests", "bench")
# Folders that tools make and git ignores.
MADE_BY_TOOLS = {"__pycache__", "node_modules", "demo_page", "dist", "packed", "results"}
MADE_BY_BENCH = ROOT / "bench" / "data"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str) -> list[Path]:
    """The Python files under folders of the repository, sorted."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not _is_made(path)
    ]


def text_files() -> Iterator[Path]:
    """Every file that people write: code, tests, documents, settings of tools."""
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and not path.name.startswith(".coverage"):
            yield path
    for folder in (*EVERYTHING, "docs", "js-client", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not _is_made(path) and _is_text(path):
                yield path


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    """The functions and methods of a file with their names in it: `Engine.scan`."""
    yield from _functions(tree(path), "")


def lines_of(function: Function) -> int:
    """The lines of a function from its `def` to its end, docstring and all."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def short(path: Path) -> str:
    """The path as one writes it from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


def _functions(node: ast.AST, within: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield within + child.name, child
            yield from _functions(child, f"{within}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{within}{child.name}.")
        else:
            yield from _functions(child, within)


def _is_made(path: Path) -> bool:
    inside = path.relative_to(ROOT).parts
    return bool(MADE_BY_TOOLS & set(inside)) or path.is_relative_to(MADE_BY_BENCH)


def _is_text(path: Path) -> bool:
    return path.suffix in {
        ".cfg", ".css", ".html", ".ini", ".js", ".json", ".mako", ".md", ".proto", ".py", ".sh",
        ".sql", ".toml", ".ts", ".txt", ".yaml", ".yml",
    } or path.parent.name == ".ci"  # fmt: skip
