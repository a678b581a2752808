"""A Flight SQL client that we did not write does its everyday work: flightsql-dbapi.

It shares no code with the ADBC driver: it is a DB-API and an SQLAlchemy dialect over messages of
its own. Its users get at rows by cursors, by SQLAlchemy and as pandas frames. It has no
bulk ingest and no transactions, and it writes by the protocol's updates only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from bench.processes import ROOT, Conversation, python
from flight_server.testing.server import LocalServer

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
SCRIPT = "tests.end_to_end.third_party.dbapi_client"
CITIES = [(1, "Wien"), (2, "Zürich"), (3, "O'Hare")]


class Refused(Exception):
    """What the client raised: the name of its class and its message."""


class Dbapi:
    """The client in its own process."""

    def __init__(self, server: LocalServer, key: str) -> None:
        assert PYTHON.exists(), "make test installs the clients that this test drives"
        host, _, port = server.url.removeprefix("grpc://").rpartition(":")
        self.url = f"datafusion+flightsql://{host}:{port}?insecure=true&token={quote(key)}"
        self._asking = Conversation(python(SCRIPT, host, port, key, executable=PYTHON))

    def ask(self, do: str, **arguments: Any) -> Any:
        """The result of one of the client's functions. Refused."""
        found = self._asking.ask(do=do, **arguments)
        if "error" in found:
            raise Refused(f"{found['error']}: {found['message']}")
        return found["result"]

    def names(self, what: str, column: str, **narrowed: Any) -> set[str]:
        """One column of a metadata call."""
        return {row[column] for row in self.ask("listed", what=what, **narrowed)}

    def close(self) -> None:
        """Ends the process."""
        self._asking.end()


@pytest.fixture(scope="module")
def dbapi(server: LocalServer) -> Iterator[Dbapi]:
    """The client with the administrator's key."""
    opened = Dbapi(server, server.key)
    yield opened
    opened.close()


@pytest.fixture
def cities(dbapi: Dbapi, name: str) -> str:
    """A table of three cities."""
    dbapi.ask("write", sql=f"CREATE TABLE {name} (id BIGINT NOT NULL, city VARCHAR)")
    values = "(1, 'Wien'), (2, 'Zürich'), (3, 'O''Hare')"
    assert dbapi.ask("write", sql=f"INSERT INTO {name} VALUES {values}") == len(CITIES)
    return name


def test_a_wrong_key_is_told_so(server: LocalServer) -> None:
    opened = Dbapi(server, "wrong")
    try:
        with pytest.raises(Refused, match="FlightUnauthenticatedError"):
            opened.ask("query", sql="SELECT 1")
    finally:
        opened.close()


def test_catalogs_schemas_and_tables_are_listed(dbapi: Dbapi, cities: str) -> None:
    assert "lake" in dbapi.names("catalogs", "catalog_name")
    assert "main" in dbapi.names("db_schemas", "db_schema_name", catalog="lake")
    assert "TABLE" in dbapi.names("table_types", "table_type")
    found = dbapi.ask("listed", what="tables", table_name_filter_pattern=f"{cities[:-2]}%")
    assert [
        (row["catalog_name"], row["db_schema_name"], row["table_name"], row["table_type"])
        for row in found
    ] == [("lake", "main", cities, "TABLE")]
    (shown,) = dbapi.ask(
        "listed", what="tables", table_name_filter_pattern=cities, include_schema=True
    )
    assert shown["table_schema"] == [["id", "int64"], ["city", "string"]]
    assert not dbapi.ask("listed", what="tables", table_name_filter_pattern="no such table")


def test_keys_are_listed(dbapi: Dbapi, cities: str) -> None:
    assert dbapi.ask("keys", what="primary", table=cities) == []
    assert dbapi.ask("keys", what="imported", table=cities) == []
    assert dbapi.ask("keys", what="exported", table=cities) == []


def test_the_server_tells_about_itself(dbapi: Dbapi) -> None:
    found = {
        row["info_name"]: row["value"] for row in dbapi.ask("listed", what="sql_info", info=[])
    }
    assert found[0] == "Pixelflight"
    assert found[3] is False, "it takes writes"
    assert [row["value"] for row in dbapi.ask("listed", what="sql_info", info=[504])] == ['"']
    types = dbapi.ask("listed", what="xdbc_type_info", data_type=None)
    assert {"BIGINT", "VARCHAR", "TIMESTAMP"} <= {row["type_name"].upper() for row in types}


def test_a_query_answers_names_and_rows(dbapi: Dbapi, cities: str) -> None:
    names, rows = dbapi.ask("query", sql=f"SELECT id, city FROM {cities} ORDER BY id")
    assert names == ["id", "city"]
    assert [tuple(row) for row in rows] == CITIES
    assert dbapi.ask("query", sql=f"SELECT * FROM {cities} WHERE id > 9") == [["id", "city"], []]


def test_types_come_as_arrow_has_them(dbapi: Dbapi) -> None:
    sql = (
        "SELECT 12.50::DECIMAL(9, 2) AS d, DATE '2024-02-29' AS day, [1, 2] AS list, "
        "TIMESTAMP '2024-01-01 12:00:00.123456' AS moment, NULL::INTEGER AS nothing"
    )
    types, rows = dbapi.ask("typed", sql=sql)
    assert types[:2] == ["decimal128(9, 2)", "date32[day]"]
    assert types[2].startswith("list<")
    assert types[3:] == ["timestamp[us]", "int32"]
    assert "Decimal('12.50')" in rows[0]
    assert "datetime.date(2024, 2, 29)" in rows[0]
    assert "'nothing': None" in rows[0]


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [(7, "BIGINT"), (2.5, "DOUBLE"), ("O'Hare; DROP TABLE x", "VARCHAR"), (True, "BOOLEAN")],
)
def test_parameters_arrive_as_values_of_their_type(dbapi: Dbapi, parameter: Any, kind: str) -> None:
    sql = "SELECT ? AS value, typeof(?) AS kind"
    assert dbapi.ask("query", sql=sql, parameters=[parameter, parameter])[1] == [[parameter, kind]]


def test_a_prepared_statement_is_bound_again_and_again(dbapi: Dbapi, cities: str) -> None:
    sql = f"SELECT city FROM {cities} WHERE id = ?"
    found = dbapi.ask("prepared", sql=sql, bindings=[[3], [1], [9], [2]])
    assert found == [[{"city": "O'Hare"}], [{"city": "Wien"}], [], [{"city": "Zürich"}]]


def test_many_rows_are_read_by_one_statement(dbapi: Dbapi, cities: str) -> None:
    # It reads an answer after each row, so it can run reads alone like this.
    dbapi.ask("execute_many", sql=f"SELECT city FROM {cities} WHERE id = ?", rows=[[1], [2]])


@pytest.mark.xfail(
    raises=Refused,
    reason="it asks for the rows of an INSERT, too, and a write has none: the rows are written, "
    "and then it stumbles over an answer without endpoints",
)
def test_a_cursor_that_is_made_for_reading_writes(dbapi: Dbapi, cities: str) -> None:
    dbapi.ask("query", sql=f"INSERT INTO {cities} VALUES (4, 'Bern')")


def test_updates_answer_how_many_rows_they_changed(dbapi: Dbapi, cities: str) -> None:
    assert dbapi.ask("write", sql=f"UPDATE {cities} SET city = 'Linz' WHERE id < 3") == 2
    assert dbapi.ask("write", sql=f"DELETE FROM {cities} WHERE id = 3") == 1
    assert dbapi.ask("query", sql=f"SELECT DISTINCT city FROM {cities}")[1] == [["Linz"]]
    dbapi.ask("write", sql=f"DROP TABLE {cities}")
    assert cities not in dbapi.names("tables", "table_name")


@pytest.mark.parametrize("do", ["query", "write"])
def test_a_mistake_is_explained(dbapi: Dbapi, cities: str, do: str) -> None:
    with pytest.raises(Refused, match=f"Did you mean '{cities}'") as caught:
        dbapi.ask(do, sql=f"SELECT * FROM {cities}s" if do == "query" else f"DELETE FROM {cities}s")
    assert "Traceback" not in str(caught.value)
    with pytest.raises(Refused, match=r"(?i)syntax"):
        dbapi.ask(do, sql="SELEC 1")


def test_sqlalchemy_reflects_a_table(dbapi: Dbapi, cities: str) -> None:
    found = dbapi.ask("reflected", url=dbapi.url, table=cities)
    assert found == [True, [["id", "BIGINT"], ["city", "TEXT"]]]


@pytest.mark.parametrize("feature", ["", "&feature-sqlalchemy-prepared-statements=on"])
def test_sqlalchemy_composes_a_query(dbapi: Dbapi, cities: str, feature: str) -> None:
    found = dbapi.ask("composed", url=dbapi.url + feature, table=cities, least=2)
    assert [tuple(row) for row in found] == CITIES[1:]


def test_an_answer_is_a_pandas_frame(dbapi: Dbapi, cities: str) -> None:
    sql = f"SELECT count(*) AS n, max(city) AS last FROM {cities}"
    assert dbapi.ask("framed", sql=sql) == [["n", "last"], [[3, "Zürich"]]]
