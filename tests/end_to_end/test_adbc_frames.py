"""polars, pandas and DuckDB over an ADBC connection: frames go and come back as they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from flight_server.testing.server import LocalServer
from flight_server.testing.types import CASES, TypeCase, Verdict, same_values

EVENTS = pl.DataFrame(
    {
        "id": pl.Series([1, 2, 3], dtype=pl.UInt32),
        "price": pl.Series([Decimal("1.20"), None, Decimal("-99.99")], dtype=pl.Decimal(9, 2)),
        "share": [0.5, float("nan"), None],
        "name": ["pear", "Äpfel 🍏", None],
        "is_new": [True, None, False],
        "day": [dt.date(2024, 2, 29), None, dt.date(1969, 1, 1)],
        "moment": pl.Series(
            [dt.datetime(2024, 1, 1, 12, 0, 0, 123456), None, None], dtype=pl.Datetime("us")
        ),
        "seen": pl.Series(
            [dt.datetime(2024, 1, 1, 12), None, None], dtype=pl.Datetime("ns")
        ).dt.replace_time_zone("Europe/Berlin"),
        "clock": [dt.time(23, 59, 59), None, dt.time(0)],
        "took": [dt.timedelta(seconds=1.5), None, dt.timedelta(0)],
        "tags": [["a", None], [], None],
        "place": [{"lat": 48.2, "name": "Wien"}, {"lat": None, "name": None}, None],
        "raw": [b"\x00\xff", b"", None],
    }
)
DRIVER_FORGETS = pytest.mark.xfail(
    reason="the driver does not send that a dictionary is ordered; a plain DoPut keeps it"
)
TYPE_CASES = [
    pytest.param(case, id=case.name, marks=[DRIVER_FORGETS] if "ordered=1" in case.name else [])
    for case in CASES
    if case.verdict is Verdict.KEPT
]


def test_a_polars_frame_comes_back_as_it_went(adbc: Any, name: str) -> None:
    assert EVENTS.write_database(name, adbc) == 3
    back = pl.read_database(f"SELECT * FROM {name} ORDER BY id", adbc)
    assert back.schema == EVENTS.schema
    assert_frame_equal(back, EVENTS)


def test_polars_appends_replaces_and_refuses(adbc: Any, name: str) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    frame.write_database(name, adbc)
    with pytest.raises(Exception, match=r"(?i)exists"):
        frame.write_database(name, adbc)
    frame.write_database(name, adbc, if_table_exists="append")
    assert pl.read_database(f"SELECT sum(a) AS n FROM {name}", adbc).item() == 6
    frame.write_database(name, adbc, if_table_exists="replace")
    assert pl.read_database(f"SELECT sum(a) AS n FROM {name}", adbc).item() == 3


def test_polars_writes_into_a_schema(adbc: Any, name: str) -> None:
    with adbc.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
    EVENTS.write_database(f"{name}.events", adbc)
    assert pl.read_database(f"SELECT count(*) FROM {name}.events", adbc).item() == 3


def test_polars_binds_parameters_and_reads_in_batches(adbc: Any, name: str) -> None:
    pl.DataFrame({"a": range(10)}).write_database(name, adbc)
    query = f"SELECT a FROM {name} WHERE a >= ? ORDER BY a"
    options = {"parameters": (7,)}
    found = pl.read_database(query, adbc, execute_options=options)
    assert found["a"].to_list() == [7, 8, 9]
    parts = pl.read_database(f"FROM {name}", adbc, iter_batches=True, batch_size=1000)
    assert sum(part.height for part in parts) == 10


def test_polars_reads_by_an_address(start_server: Callable[..., LocalServer]) -> None:
    # An address has no place for a key, so this is for servers that ask for none.
    server = start_server(insecure_no_auth=True)
    address = f"flightsql://{server.url.removeprefix('grpc://')}?transport=tcp"
    found = pl.read_database_uri("SELECT 42 AS answer", address, engine="adbc")
    assert found.to_dicts() == [{"answer": 42}]
    assert pl.DataFrame({"a": [1]}).write_database("one", address, engine="adbc") == 1
    assert pl.read_database_uri("FROM one", address, engine="adbc").item() == 1


def test_a_pandas_frame_comes_back_as_it_went(adbc: Any, name: str) -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "name": ["pear", "Äpfel", "plum"],
            "share": [0.5, 0.25, 1e300],
            "moment": pd.to_datetime(["2024-01-01 12:00:00.123456"] * 3),
            "is_new": [True, False, True],
        }
    )
    assert frame.to_sql(name, adbc, index=False) == 3
    back = pd.read_sql(f"SELECT * FROM {name} ORDER BY id", adbc)
    pd.testing.assert_frame_equal(back, frame)
    pd.testing.assert_frame_equal(pd.read_sql_table(name, adbc).sort_values("id"), frame)


def test_pandas_appends_replaces_and_refuses(adbc: Any, name: str) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    frame.to_sql(name, adbc, index=False)
    with pytest.raises(ValueError, match="exists"):
        frame.to_sql(name, adbc, index=False)
    frame.to_sql(name, adbc, index=False, if_exists="append")
    assert pd.read_sql(f"SELECT sum(a) AS n FROM {name}", adbc)["n"].tolist() == [6]
    frame.to_sql(name, adbc, index=False, if_exists="replace")
    assert len(pd.read_sql(f"FROM {name}", adbc)) == 2


def test_duckdb_reads_a_stream(adbc: Any, name: str) -> None:
    EVENTS.write_database(name, adbc)
    with duckdb.connect() as local, adbc.cursor() as cursor:
        cursor.execute(f"SELECT id, price FROM {name}")
        local.register("events", cursor.fetch_record_batch())
        assert local.sql("SELECT count(*), sum(price) FROM events").fetchall() == [
            (3, Decimal("-98.79"))
        ]


def test_duckdbs_answers_are_ingested(adbc: Any, name: str) -> None:
    with duckdb.connect() as local, adbc.cursor() as cursor:
        reader = local.sql("SELECT range AS n FROM range(100000)").to_arrow_reader(10_000)
        assert cursor.adbc_ingest(name, reader) == 100_000
        cursor.execute(f"SELECT sum(n) AS total FROM {name}")
        assert cursor.fetchone() == (4_999_950_000,)


@pytest.mark.parametrize("case", TYPE_CASES)
def test_every_type_comes_back_as_it_was_ingested(adbc: Any, name: str, case: TypeCase) -> None:
    sent = case.table(case.values)
    with adbc.cursor() as cursor:
        assert cursor.adbc_ingest(name, sent) == sent.num_rows
        cursor.execute(f"SELECT * FROM {name} ORDER BY n")
        found: pa.Table = cursor.fetch_arrow_table()
    assert same_values(found.column("v"), sent.column("v"))
