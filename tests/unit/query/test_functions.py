"""Every function of DuckDB stands in one of the two lists."""

from fnmatch import fnmatchcase

import duckdb
import pytest
from duckdb_extensions import import_extension

from flight_server.errors import Forbidden, InvalidRequest
from flight_server.query.functions import (
    IN_FROM,
    IN_SELECT,
    LAMBDA_FUNCTIONS,
    SCALAR,
    allowed_functions,
    check_function,
    refused_functions,
)

KINDS = {
    "scalar": ("scalar",),
    "macro": ("scalar", "aggregate"),
    "aggregate": ("aggregate", "window"),
    "table": ("table",),
    "table_macro": ("table",),
}


def functions_of_duckdb(*extensions: str) -> set[tuple[str, str]]:
    with duckdb.connect(":memory:") as connection:
        for extension in extensions:
            import_extension(extension)
            connection.execute(f"LOAD {extension}")
        rows = connection.execute(
            "SELECT DISTINCT lower(function_name), function_type FROM duckdb_functions() "
            "WHERE function_type <> 'pragma'"
        ).fetchall()
    return {(name, kind) for name, kind in rows}


def is_allowed(name: str, kind: str) -> bool:
    # The window functions are listed as aggregates.
    return any(name in allowed_functions()[ours] for ours in KINDS[kind])


def is_refused(name: str, kind: str) -> bool:
    names = (name, f"{KINDS[kind][0]} {name}")
    return any(fnmatchcase(each, pattern) for each in names for pattern in refused_functions())


def test_every_function_is_allowed_or_refused_and_never_both() -> None:
    functions = functions_of_duckdb()
    assert len(functions) > 800
    undecided = {(n, k) for n, k in functions if is_allowed(n, k) == is_refused(n, k)}
    assert not undecided


def test_every_allowed_function_exists() -> None:
    # These are made by the parser or answer by another name.
    names = {name for name, _ in functions_of_duckdb()} | {"!~~", "!~~*", "unnest"}
    assert not {name for names_ in allowed_functions().values() for name in names_} - names


def test_no_function_of_the_lakes_extensions_is_allowed() -> None:
    brought = functions_of_duckdb("ducklake", "httpfs") - functions_of_duckdb()
    assert len(brought) > 10
    for name, kind in brought:
        assert not is_allowed(name, kind), name
        assert is_refused(name, kind), name


def test_the_functions_with_lambdas_are_duckdbs() -> None:
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE list_contains(parameter_types, 'LAMBDA')"
        ).fetchall()
    assert {name for (name,) in rows} == LAMBDA_FUNCTIONS


def test_a_refusal_gives_the_reason() -> None:
    with pytest.raises(Forbidden, match="'READ_CSV' is refused: it reads or lists files"):
        check_function("READ_CSV", "", "", IN_FROM)


def test_a_typing_error_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'lower'"):
        check_function("lowr", "", "", IN_SELECT)


def test_a_function_of_another_kind_is_said_to_be_one() -> None:
    with pytest.raises(InvalidRequest, match="another kind"):
        check_function("sum", "", "", SCALAR)


def test_functions_of_other_schemas_are_refused() -> None:
    with pytest.raises(Forbidden, match=r"lake\.main\.lower"):
        check_function("lower", "main", "lake", IN_SELECT)
