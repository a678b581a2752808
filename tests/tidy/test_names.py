"""Names say what a thing is."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.sources import EVERYTHING, PRODUCT, ROOT, functions, python_files, short, tree

# Names under which anything can be put, and soon is.
DRAWERS = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
ABBREVIATIONS = {
    "ack", "arr", "buf", "cb", "cfg", "cls_", "cnt", "conf", "conn", "ctx", "cur", "fn", "func",
    "idx", "impl", "mgr", "msg", "ns", "num", "obj", "params", "pkt", "ptr", "req", "res", "resp",
    "ret", "svc", "tbl", "tmp", "val", "vals",
}  # fmt: skip
# `path: name` → which library asks for that name.
ASKED_FOR = {
    "flight_server/bodies/iterators.py: num_frames": "Pixeltable's frame_iterator",
    "flight_server/metastore/tables/base.py: impl": "SQLAlchemy's TypeDecorator",
}


def words(name: str) -> set[str]:
    """The words of a name in any of the usual spellings."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def names_given(path: Path) -> Iterator[str]:
    """The names that a file gives: to functions, parameters, classes and variables."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
    for name, function in functions(path):
        yield name.rpartition(".")[2]
        arguments = function.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            yield argument.arg


def test_no_module_is_a_drawer() -> None:
    modules = {part for path in python_files(*EVERYTHING) for part in words(path.stem)}
    assert modules & DRAWERS == set()


def test_no_class_is_a_drawer() -> None:
    classes = {
        node.name
        for path in python_files(*PRODUCT)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    assert {name for name in classes if words(name) & DRAWERS} == set()


def test_names_are_not_abbreviated() -> None:
    found = {
        f"{short(path)}: {name}"
        for path in python_files(*PRODUCT)
        for name in names_given(path)
        if words(name) & ABBREVIATIONS
    }
    assert found == set(ASKED_FOR)


def test_fixtures_that_all_tests_share_have_names_of_their_own() -> None:
    """Of two fixtures of one name, every test would be given the one that is loaded last."""
    made = Counter(
        name
        for path in sorted((ROOT / "tests").glob("fix_*.py"))
        for name, function in functions(path)
        if any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list)
    )
    assert len(made) > 20
    assert [name for name, count in made.items() if count > 1] == []
