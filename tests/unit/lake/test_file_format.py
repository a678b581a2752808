"""Files of the lake are plain Parquet in the format that was asked for, open to other readers."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import Author, IngestMode, IngestRequest, TableRef
from flight_server.setting_values import Compression
from flight_server.settings import Settings

ROWS = pa.table(
    {
        "n": pa.array(range(50_000), pa.int64()),
        "x": pa.array([i / 7 for i in range(50_000)], pa.float64()),
        "text": [f"word {i % 97}" for i in range(50_000)],
    }
)


@pytest.mark.parametrize("compression", list(Compression))
def test_others_read_the_files(tmp_path: Path, compression: Compression) -> None:
    engine = LakeEngine.open(Settings(data=tmp_path, lake_compression=compression))
    engine.ingest(
        TableRef.of("t"), IngestRequest(IngestMode.CREATE), ROWS.to_reader(), Author("ada")
    )
    engine.close()
    (file,) = (tmp_path / "lake" / "files" / "main" / "t").glob("*.parquet")
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    assert column.compression.lower() == compression.value
    # pyarrow and polars have Parquet readers of their own.
    assert sorted(pq.read_table(file)["n"].to_pylist()) == list(range(50_000))
    assert pl.read_parquet(file).select(pl.col("x").sum()).item() == pytest.approx(
        sum(i / 7 for i in range(50_000))
    )
