"""Every module is there for somebody, and says what it is."""

from __future__ import annotations

import ast

import grimp
import pytest

from tests.tidy.sources import EVERYTHING, PRODUCT, python_files, short, tree

# What is started from outside, and what Alembic finds by its folder.
ENTRY_POINTS = (
    "flight_server.__main__",
    "flight_server.worker.__main__",
    "flight_server.worker.previewing",
    "flight_server.engines.pixeltable.worker.__main__",
    "flight_server.metastore.migrations.",
    # Run as a process of its own.
    "flight_server.webhooks.courier",
)
# The testing room is shipped for tests, so theirs are the imports that count.
FOR_TESTS = "flight_server.testing"


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Module of the product → the modules of the product that import it."""
    graph = grimp.build_graph(*PRODUCT, cache_dir=None)
    return {module: graph.find_modules_that_directly_import(module) for module in graph.modules}


def test_no_module_is_an_orphan(imports: dict[str, set[str]]) -> None:
    packages = {module.rpartition(".")[0] for module in imports}
    orphans = {
        module
        for module, importers in imports.items()
        if not importers and module not in packages and not module.startswith(ENTRY_POINTS)
    }
    used_by_tests = {module for module in orphans if module.startswith(FOR_TESTS)}
    assert orphans - used_by_tests == set()
    assert used_by_tests <= imported_by_tests()


def imported_by_tests() -> set[str]:
    """The modules that tests and benches name in their imports."""
    found = set()
    for path in python_files("tests", "bench"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_modules_say_what_they_are_for() -> None:
    silent = [
        short(path)
        for path in python_files(*EVERYTHING)
        if tree(path).body
        and not (ast.get_docstring(tree(path)) or "").partition("\n\n")[0].strip().endswith(".")
    ]
    assert silent == []
