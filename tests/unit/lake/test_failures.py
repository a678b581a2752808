"""DuckDB's exceptions become ours, and tell nothing that is not the client's."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.engines.lake.failures import said, translated
from flight_server.errors import ErrorCode, NotFound, PixelflightError

RAISED = [
    (
        duckdb.InvalidInputException(
            "Invalid Input Error: The value 5 does not fit the type null of column 'c'."
        ),
        ErrorCode.INVALID_DATA,
    ),
    (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), ErrorCode.CANCELLED),
    (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate"), ErrorCode.TOO_LARGE),
    (
        duckdb.TransactionException("TransactionContext Error: Failed to commit: conflict with …"),
        ErrorCode.CONFLICT,
    ),
    (
        duckdb.TransactionException("TransactionContext Error: Current transaction is aborted"),
        ErrorCode.CONFLICT,
    ),
    (duckdb.TransactionException("TransactionContext Error: something"), ErrorCode.INTERNAL),
    (duckdb.FatalException("FATAL Error: database has been invalidated"), ErrorCode.UNAVAILABLE),
    (duckdb.IOException("IO Error: Cannot open /secret/file.parquet"), ErrorCode.INTERNAL),
    (
        duckdb.IOException('IO Error: Could not write "/secret/x": No space left on device'),
        ErrorCode.UNAVAILABLE,
    ),
    (
        duckdb.TransactionException(
            'TransactionContext Error: Failed to commit: Could not write file "/secret/x.wal"'
        ),
        ErrorCode.UNAVAILABLE,
    ),
    (OSError(28, "No space left on device", "/secret/x.parquet"), ErrorCode.UNAVAILABLE),
    (OSError(5, "Input/output error", "/secret/x.parquet"), ErrorCode.INTERNAL),
    (OSError("Conversion Error: Could not convert string 'x' to INT32"), ErrorCode.INVALID_DATA),
    (OSError("Out of Range Error: Overflow in addition"), ErrorCode.INVALID_SQL),
    (OSError("Not implemented Error: a type of its own"), ErrorCode.UNSUPPORTED),
    (OSError("INTERRUPT Error: Interrupted!"), ErrorCode.CANCELLED),
    (OSError("IO Error: Cannot open /secret/file.parquet"), ErrorCode.INTERNAL),
    (duckdb.ConstraintException("Constraint Error: null in 'a'"), ErrorCode.INVALID_DATA),
    (duckdb.ConversionException("Conversion Error: Could not convert 'a'"), ErrorCode.INVALID_DATA),
    (duckdb.BinderException("Binder Error: no such column"), ErrorCode.INVALID_SQL),
    (duckdb.ParserException("Parser Error: syntax error"), ErrorCode.INVALID_SQL),
    (
        duckdb.InvalidInputException("Invalid Input Error: No snapshot found at version 7"),
        ErrorCode.VERSION_NOT_FOUND,
    ),
    (pa.ArrowInvalid("Integer value out of range"), ErrorCode.INVALID_DATA),
]


@pytest.mark.parametrize(("error", "code"), RAISED, ids=[str(error)[:40] for error, _ in RAISED])
def test_every_failure_has_its_code(error: Exception, code: ErrorCode) -> None:
    with pytest.raises(PixelflightError) as caught, translated("The scan"):
        raise error
    assert caught.value.code is code
    assert caught.value.__cause__ is error
    assert "secret" not in caught.value.message
    assert caught.value.message.endswith(".")


def test_our_own_errors_pass() -> None:
    with pytest.raises(NotFound, match="as it was"), translated():
        raise NotFound("as it was")


def test_what_is_no_failure_of_the_lake_passes() -> None:
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


PATHS = st.lists(
    st.text("abcdefgh0123456789_-.", min_size=1, max_size=8), min_size=2, max_size=5
).map(lambda parts: "/" + "/".join(parts))
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\n:'\"", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=10,
)


@given(before=WORDS, path=PATHS, after=WORDS, quote=st.sampled_from(['"', "'", ""]))
def test_no_path_is_told(before: str, path: str, after: str, quote: str) -> None:
    message = f"IO Error: {before} {quote}{path}{quote} {after}"
    told = said(duckdb.IOException(message))
    assert path not in told
    assert before in told


@given(before=WORDS, sql=WORDS, line=st.integers(1, 99))
def test_no_statement_is_told(before: str, sql: str, line: int) -> None:
    message = f"Binder Error: {before}\n\nLINE {line}: SELECT secret_{sql} FROM t\n        ^"
    told = said(duckdb.BinderException(message))
    assert "secret_" not in told
    assert told.startswith(before)


@pytest.mark.parametrize(
    "message",
    [
        "Catalog Error: Table with name ducklake_inlined_data_5_2 does not exist!",
        'Binder Error: in __ducklake_metadata_lake.main.ducklake_table "x"',
        "IO Error: s3://bucket/prefix/main/t/ducklake-1.parquet: 404",
        'Catalog Error: Table "_pixelflight.ingest" is missing',
    ],
)
def test_nothing_of_the_lake_inside_is_told(message: str) -> None:
    told = said(duckdb.Error(message))
    for inside in ("ducklake", "s3://", "parquet", "_pixelflight"):
        assert inside not in told


def test_columns_of_our_own_are_left_out() -> None:
    """A client that inserts 'x' into a number knows nothing of where the value stood for us."""
    message = (
        "Conversion Error: Could not convert string 'x' to INT32 when casting from source column"
    )
    ours = said(duckdb.ConversionException(f"{message} _pixelflight_0"))
    assert ours == "Could not convert string 'x' to INT32."
    assert said(duckdb.ConversionException(f"{message} city")).endswith("source column city.")


def test_real_errors_of_duckdb() -> None:
    with duckdb.connect() as connection:
        for sql in (
            "SELECT * FROM read_parquet('/secret/folder/file.parquet')",
            "SELECT nothing_of_this FROM (SELECT 1 AS secret_column)",
            "SELECT CAST('x' AS INT) AS secret_column",
            "SELEC secret_column",
        ):
            with pytest.raises(PixelflightError) as caught, translated():
                connection.execute(sql).fetchall()
            assert "/secret" not in caught.value.message
            assert "LINE 1" not in caught.value.message
