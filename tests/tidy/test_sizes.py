"""Small functions in small files. The length of lines is ruff's to check."""

from __future__ import annotations

import statistics

from tests.tidy.sources import EVERYTHING, PRODUCT, functions, lines_of, python_files, short

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 8
FILE_LINES_MAX = 400

# `path` or `path:function` → why it may be larger. An entry that is no longer needed has to go.
EXCEPTIONS = {
    "flight_server/model.py": "the nouns of every room, read in one place; logic of names only",
}


def too_large() -> dict[str, int]:
    """What is over a limit, and by how many lines it is known."""
    files = {
        short(path): len(path.read_text("utf-8").splitlines()) for path in python_files(*EVERYTHING)
    }
    parts = {
        f"{short(path)}:{name}": lines_of(function)
        for path in python_files(*EVERYTHING)
        for name, function in functions(path)
    }
    large = {name: lines for name, lines in files.items() if lines > FILE_LINES_MAX}
    return large | {name: lines for name, lines in parts.items() if lines > FUNCTION_LINES_MAX}


def test_files_and_functions_are_small() -> None:
    assert {name: n for name, n in too_large().items() if name not in EXCEPTIONS} == {}


def test_exceptions_are_needed_and_explained() -> None:
    assert [name for name in EXCEPTIONS if name not in too_large()] == []
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


def test_most_functions_are_very_small() -> None:
    sizes = [lines_of(f) for path in python_files(*PRODUCT) for _, f in functions(path)]
    assert len(sizes) > 100, "the functions were not found"
    assert statistics.median(sizes) <= FUNCTION_LINES_MEDIAN_MAX
