"""The attacks of attacks.toml are refused, line by line, and the innocents are not."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.errors import ErrorCode, NotFound, PixelflightError
from flight_server.model import TableRef
from flight_server.query import (
    CreateTable,
    Delete,
    Insert,
    Merge,
    Source,
    Statement,
    TableUse,
    Update,
    check_predicate,
    parse,
    parse_any,
    rewrite,
    rewrite_merge,
)

from .conftest import attacks

ATTACKS = [(group["says"], sql) for group in attacks()["attack"] for sql in group["sql"]]
WRITE_ATTACKS = [
    (group["says"], sql) for group in attacks()["write_attack"] for sql in group["sql"]
]
WRITE_INNOCENTS = [sql for group in attacks()["write_innocent"] for sql in group["sql"]]
INNOCENTS = [sql for group in attacks()["innocent"] for sql in group["sql"]]
SECRET = "the content of the file"


def known(use: TableUse) -> Source:
    if str(use.table).lower() in ("trades", "daily", "sales.daily"):
        return Source(use.table, version=use.version)
    raise NotFound(f"There is no table '{use.table}'.", code=ErrorCode.TABLE_NOT_FOUND)


@pytest.mark.parametrize(("says", "sql"), ATTACKS)
def test_each_attack_is_refused_and_named(tmp_path: Path, says: str, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text(SECRET)
    with pytest.raises(PixelflightError) as refused:
        rewrite(parse(sql.replace("{file}", str(file))), known)
    assert says in refused.value.message
    assert SECRET not in refused.value.message
    assert file.read_text() == SECRET
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize("sql", INNOCENTS)
def test_each_innocent_passes(sql: str) -> None:
    assert rewrite(parse(sql), known)


def rewritten(sql: str) -> list[str]:
    """What would run of a statement, a query or one that writes."""
    match parse_any(sql):
        case Statement() as statement:
            return [rewrite(statement, known)]
        case Insert(query=Statement() as query) | CreateTable(query=Statement() as query):
            return [rewrite(query, known)]
        case Update(rows=rows) | Delete(rows=rows):
            return [rewrite(rows, known)]
        case Merge() as merge:
            return [rewrite_merge(merge, known, TableRef.of("trades"))]
    return []


@pytest.mark.parametrize(("says", "sql"), WRITE_ATTACKS)
def test_each_write_that_attacks_is_refused_and_named(tmp_path: Path, says: str, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text(SECRET)
    with pytest.raises(PixelflightError) as refused:
        rewritten(sql.replace("{file}", str(file)))
    assert says in refused.value.message
    assert SECRET not in refused.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize("sql", WRITE_INNOCENTS)
def test_each_write_that_is_innocent_passes(sql: str) -> None:
    assert all("DROP TABLE trades --" not in text for text in rewritten(sql))


@pytest.mark.parametrize("sql", [sql for _, sql in ATTACKS if not sql.startswith("EXPLAIN")])
def test_no_attack_passes_as_any_statement(tmp_path: Path, sql: str) -> None:
    """What is refused as a query is refused, or is a write that is known as one."""
    statement = sql.replace("{file}", str(tmp_path / "secret.csv"))
    with suppress(PixelflightError):
        rewritten(statement)
        assert not isinstance(parse_any(statement), Statement)


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 300
    assert len(WRITE_ATTACKS) >= 120
    assert len(INNOCENTS) >= 20


REFUSED_TABLES = st.sampled_from(
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "glob('/*')",
        "query('SELECT 1')",
        "duckdb_settings()",
        "ducklake_snapshots('lake')",
        "'/etc/passwd'",
        "information_schema.tables",
        "_pixelflight.ingest",
        "(SELECT current_setting('secret_directory'))",
        "(SELECT getenv('PATH') AS a)",
        "(SHOW TABLES)",
    ]
)
TABLE_WRAPPERS = st.sampled_from(
    [
        "(FROM {})",
        "(WITH w AS (FROM {}) FROM w)",
        "(WITH v AS MATERIALIZED (SELECT * FROM {}), w AS (FROM v) FROM w)",
        "(WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r, {}) FROM r)",
        "(SELECT * FROM trades, LATERAL (FROM {}))",
        "(SELECT * FROM trades LEFT JOIN {} ON true)",
        "(SELECT 1 UNION ALL SELECT count(*) FROM {})",
        "(SELECT 1 AS a EXCEPT (FROM {}))",
        "(SELECT CASE WHEN true THEN (SELECT count(*) FROM {}) ELSE 0 END)",
        "(SELECT [(SELECT count(*) FROM {}) + x FOR x IN [1, 2] IF x > 1])",
        "(SELECT list_transform([1], lambda x: (SELECT count(*) FROM {})))",
        "(SELECT * FROM trades WHERE id IN (SELECT count(*) FROM {}))",
        "(SELECT * FROM trades WHERE NOT EXISTS (FROM {}))",
        "(SELECT sum(id) FILTER (WHERE EXISTS (FROM {})) OVER () FROM trades)",
        "(SELECT id FROM trades ORDER BY (SELECT count(*) FROM {}))",
        "(SELECT id FROM trades LIMIT (SELECT count(*) FROM {}))",
        "(SELECT {{'a': [(SELECT count(*) FROM {})]}})",
        "(VALUES ((SELECT count(*) FROM {})))",
        "(PIVOT (FROM {}) ON a IN (1) USING count(*))",
        "(UNPIVOT (FROM {}) ON a, b)",
        "(DESCRIBE FROM {})",
        "(SUMMARIZE FROM {})",
        "unnest((SELECT list(1) FROM {}))",
    ]
)


@given(
    REFUSED_TABLES,
    st.lists(TABLE_WRAPPERS, max_size=4),
    st.sampled_from(
        [
            "INSERT INTO trades FROM {}",
            "INSERT INTO trades VALUES ((FROM {}))",
            "WITH x AS (FROM {}) DELETE FROM trades",
            "UPDATE trades SET id = (FROM {}), price = 1",
            "UPDATE trades SET id = 1 FROM {}",
            "DELETE FROM trades WHERE EXISTS (FROM {})",
            "DELETE FROM trades USING {}",
            "MERGE INTO trades USING (FROM {}) ON true WHEN MATCHED THEN DELETE",
            "MERGE INTO trades USING daily ON (FROM {}) WHEN MATCHED THEN DELETE",
            "MERGE INTO trades USING daily ON true WHEN MATCHED THEN UPDATE SET id = (FROM {})",
            "CREATE TABLE x AS FROM {}",
        ]
    ),
)
def test_no_nesting_hides_it_in_a_write(inner: str, wrappers: list[str], start: str) -> None:
    sql = inner
    for wrapper in wrappers:
        sql = wrapper.format(sql)
    with pytest.raises(PixelflightError) as refused:
        rewritten(start.format(sql))
    assert "does not parse" not in refused.value.message


@given(
    REFUSED_TABLES,
    st.lists(TABLE_WRAPPERS, max_size=6),
    st.sampled_from(["FROM {}", "EXPLAIN FROM {}", "EXPLAIN ANALYZE SELECT 1 FROM {}"]),
)
def test_no_nesting_hides_what_is_refused(inner: str, wrappers: list[str], start: str) -> None:
    sql = inner
    for wrapper in wrappers:
        sql = wrapper.format(sql)
    with pytest.raises(PixelflightError) as refused:
        rewrite(parse(start.format(sql)), known)
    # The error is about what was hidden, not about the wrapping.
    assert "does not parse" not in refused.value.message


@given(st.lists(TABLE_WRAPPERS, max_size=6))
def test_the_same_nesting_of_a_permitted_table_passes(wrappers: list[str]) -> None:
    sql = "trades"
    for wrapper in wrappers:
        sql = wrapper.format(sql)
    statement = parse(f"FROM {sql}")
    assert statement.tables
    assert '"trades' not in rewrite(statement, known)


EXPRESSION_WRAPPERS = st.sampled_from(
    [
        "({})",
        "lower({})",
        "CASE WHEN {} THEN 1 END",
        "[x FOR x IN [{}]]",
        "list_transform([1], lambda y: {})",
        "{{'k': {}}}",
        "coalesce(NULL, {})",
        "NOT {}",
        "(1 BETWEEN 0 AND {})",
        "TRY_CAST({} AS INTEGER)",
        "{} COLLATE NOCASE",
        "1 IN (2, {})",
        "[1, 2][{}]",
        "TRY({})",
        "{} -> '$.a'",
    ]
)


@given(
    st.sampled_from(
        [
            "read_text('/etc/passwd')",
            "getenv('PATH')",
            "(SELECT 1)",
            "EXISTS (FROM trades)",
            "sum(id)",
            "row_number() OVER ()",
            "$1",
            "hidden",
            "trades.hidden",
            "id IN (SELECT 1)",
        ]
    ),
    st.lists(EXPRESSION_WRAPPERS, max_size=6),
)
def test_no_nesting_hides_it_in_a_filter(inner: str, wrappers: list[str]) -> None:
    text = f"({inner})"
    for wrapper in wrappers:
        text = f"({wrapper.format(text)})"
    with pytest.raises(PixelflightError) as refused:
        check_predicate(text, ["id"])
    assert "does not parse" not in refused.value.message


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_as_ours(text: str) -> None:
    for check in (parse, parse_any, lambda sql: check_predicate(sql, ["a"])):
        with suppress(PixelflightError):
            check(text)
