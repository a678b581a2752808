"""The nouns check themselves, and names survive being written and read."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server import model
from flight_server.errors import ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    ChangesRequest,
    CommitEvery,
    Housekeeping,
    IngestMode,
    NamespaceRef,
    ScanRequest,
    TableRef,
    check_name,
    quoted,
    table_not_found,
)

# Any text a name may be, with the marks that are written specially far more often than by chance.
NAMES = (
    st.lists(
        st.one_of(
            st.sampled_from(["main", "lake", "a", ".", ":", '"', "'", "/", " ", "\\", "✈️", "é"]),
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=3),
        ),
        min_size=1,
        max_size=8,
    )
    .map("".join)
    .filter(bool)
)
TABLES = st.builds(TableRef, NAMES, NAMES, NAMES)


@given(TABLES)
def test_a_tables_name_survives_being_written_and_read(table: TableRef) -> None:
    assert TableRef.parse(str(table)) == table


@given(st.builds(NamespaceRef, NAMES, NAMES))
def test_a_namespaces_name_survives_being_written_and_read(namespace: NamespaceRef) -> None:
    assert NamespaceRef.parse(str(namespace)) == namespace


@given(TABLES)
def test_a_path_names_the_same_table(table: TableRef) -> None:
    assert TableRef.of(*table.path) == table


@given(st.text())
def test_any_text_is_a_name_or_an_invalid_one(text: str) -> None:
    code, table = None, None
    try:
        table = TableRef.parse(text)
    except InvalidRequest as error:
        code = error.code
    assert (code is ErrorCode.INVALID_NAME) != (table is not None)
    assert table is None or TableRef.parse(str(table)) == table


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("flights", ("lake", "main", "flights")),
        ("sales.daily", ("lake", "sales", "daily")),
        ("pixeltable:films.frames", ("pixeltable", "films", "frames")),
        ("pixeltable:frames", ("pixeltable", "main", "frames")),
        ("a/b.t", ("lake", "a/b", "t")),
        ('"sales.daily"', ("lake", "main", "sales.daily")),
        ('"a ""b""".c', ("lake", 'a "b"', "c")),
        ("two words.t", ("lake", "two words", "t")),
    ],
)
def test_names_read(text: str, parts: tuple[str, str, str]) -> None:
    assert TableRef.parse(text) == TableRef(*parts)


@pytest.mark.parametrize(
    ("parts", "text", "path"),
    [
        (("flights",), "flights", ("flights",)),
        (("sales", "daily"), "sales.daily", ("sales", "daily")),
        (("mem", "main", "t"), "mem:t", ("mem", "main", "t")),
        (("mem", "a", "t"), "mem:a.t", ("mem", "a", "t")),
        (("a.b", "c:d"), '"a.b"."c:d"', ("a.b", "c:d")),
    ],
)
def test_names_written(parts: tuple[str, ...], text: str, path: tuple[str, ...]) -> None:
    assert str(TableRef.of(*parts)) == text
    assert TableRef.of(*parts).path == path


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".b", "a.b.c", "a:b:c", "a.b:c", '"open', '"a"b', ":t", 'x."', "a\nb", "a\x00"],
)
def test_texts_that_name_no_table(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        TableRef.parse(text)
    assert caught.value.code is ErrorCode.INVALID_NAME


@pytest.mark.parametrize("parts", [(), ("a", "b", "c", "d")])
def test_a_table_has_one_to_three_parts(parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="one to three parts"):
        TableRef.of(*parts)


@pytest.mark.parametrize("text", ["", "a.b", "a:b:c", '"'])
def test_texts_that_name_no_namespace(text: str) -> None:
    with pytest.raises(InvalidRequest):
        NamespaceRef.parse(text)


def test_a_name_may_be_long_but_not_endless() -> None:
    assert check_name("x" * model.NAME_LENGTH_MAX)
    with pytest.raises(InvalidRequest, match="201 characters"):
        check_name("x" * (model.NAME_LENGTH_MAX + 1))


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        TableRef.of("half a pair: \ud800")


@pytest.mark.parametrize(
    ("name", "sql"), [("a", '"a"'), ('a"b', '"a""b"'), ("a.b", '"a.b"'), ("a'b", '"a\'b"')]
)
def test_names_are_quoted_for_sql(name: str, sql: str) -> None:
    assert quoted(name) == sql


def test_a_table_in_sql_is_three_identifiers() -> None:
    assert TableRef.of("a/b", 't"; DROP').sql == '"lake"."a/b"."t""; DROP"'


def test_nouns_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TableRef.of("a").name = "b"  # type: ignore[misc]


def test_a_scan_counts_from_zero() -> None:
    request = ScanRequest(limit=0, offset=0)
    assert (request.limit, request.offset) == (0, 0)
    with pytest.raises(InvalidRequest, match="'limit' must not be negative: -1"):
        ScanRequest(limit=-1)
    with pytest.raises(InvalidRequest, match="'offset' must not be negative: -2"):
        ScanRequest(offset=-2)


@pytest.mark.parametrize("given_", [{"rows": 1}, {"bytes": 1}, {"ms": 1}, {"rows": 5, "ms": 9}])
def test_a_commit_policy_says_when(given_: dict[str, int]) -> None:
    policy = dataclasses.asdict(CommitEvery(**given_))
    assert {name: value for name, value in policy.items() if value is not None} == given_


@pytest.mark.parametrize("given_", [{}, {"rows": 0}, {"bytes": -1}, {"rows": 5, "ms": 0}])
def test_a_commit_policy_that_never_or_always_commits_is_refused(given_: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match="commit_every"):
        CommitEvery(**given_)


def test_the_modes_of_an_ingest_are_what_clients_write() -> None:
    assert [mode.value for mode in IngestMode] == [
        "create",
        "append",
        "overwrite",
        "upsert",
        "merge",
    ]


def test_a_missing_table_is_said_in_one_way() -> None:
    error = table_not_found(TableRef.of("a", "b"), " Did you mean 'a.c'?")
    assert isinstance(error, NotFound)
    assert error.code is ErrorCode.TABLE_NOT_FOUND
    assert error.message == "There is no table 'a.b'. Did you mean 'a.c'?"


def test_changes_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="Exchange them"):
        ChangesRequest(after=5, until=4)
    assert ChangesRequest(after=5, until=5).until == 5


def test_housekeeping_is_told_by_what_it_did() -> None:
    assert str(Housekeeping(rows_flushed=9, files_merged=2)) == "9 rows flushed, 2 files merged"
