"""The table that is moved: int64, float64, int64 and short text, 35 bytes a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

BUCKETS = 1_000
LABELS = 10_000
# Batches on the wire: about 2 MiB each; from half of that on Flight is at its fastest.
BATCH_ROWS = 65_536
# A folder of the checkout, because what is called temporary is often kept in memory.
DATA = Path(__file__).parent / "data"


def sample(rows: int) -> pa.Table:
    """The first so many rows; always the same ones."""
    random = np.random.default_rng(20_260_101)
    labels = pa.array([f"k{number:06d}" for number in range(LABELS)])
    return pa.table(
        {
            "id": np.arange(rows, dtype=np.int64),
            "value": random.random(rows),
            "bucket": random.integers(0, BUCKETS, rows),
            "label": labels.take(pa.array(random.integers(0, LABELS, rows))),
        }
    )


def save(table: pa.Table, path: Path) -> Path:
    """The table as an Arrow file, for other processes."""
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, BATCH_ROWS)
    return path


def load(path: Path) -> pa.Table:
    """The table of an Arrow file, in memory."""
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder on a real disk that is gone afterwards."""
    DATA.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=DATA) as folder:
        yield Path(folder)
