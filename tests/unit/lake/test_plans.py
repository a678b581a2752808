"""A plan tells a person what DuckDB does, and nobody where files are or what SQL we composed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import Author, IngestMode, IngestRequest, SqlRequest, TableRef
from flight_server.settings import Settings

QUERY = SqlRequest("SELECT a, sum(b) FROM lake.main.t WHERE a < 5 GROUP BY a")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    folder: Path = tmp_path_factory.mktemp("plans")
    engine = LakeEngine.open(Settings(data=folder))
    rows = pa.table({"a": range(20_000), "b": range(20_000)})
    request = IngestRequest(IngestMode.CREATE)
    engine.ingest(TableRef.of("t"), request, rows.to_reader(), Author("ada"))
    yield engine
    engine.close()


@pytest.mark.parametrize("analyze", [False, True])
def test_operators_are_told_with_their_numbers(engine: LakeEngine, analyze: bool) -> None:
    text = engine.explain_sql(QUERY, analyze)
    assert "SCAN" in text
    assert "Table: t" in text
    assert "rows" in text


@pytest.mark.parametrize("analyze", [False, True])
def test_files_and_statements_are_not_told(engine: LakeEngine, analyze: bool) -> None:
    text = engine.explain_sql(QUERY, analyze).lower()
    for private in (".parquet", "/", "select", "explain"):
        assert private not in text


def test_a_count_that_needs_no_run(engine: LakeEngine) -> None:
    text = engine.explain_sql(SqlRequest("SELECT count(*) FROM lake.main.t"), analyze=True)
    assert text == "nothing to measure: answered from what the catalog knows"
