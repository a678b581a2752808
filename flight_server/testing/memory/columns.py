"""Rows by their positions: taking, joining and splicing columns of any Arrow type.

Knows Arrow only, and what to do where Arrow has no kernel for a type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from flight_server.testing.memory.casts import nulls, plain


def taken(column: pa.ChunkedArray, positions: Sequence[int]) -> pa.ChunkedArray:
    """The values at the positions, in their order."""
    try:
        return column.take(pa.array(positions, pa.int64()))
    except pa.ArrowNotImplementedError:
        # Views and run ends cannot be taken: one slice a row is slow and right.
        pieces = [column.slice(position, 1).chunks for position in positions]
        return pa.chunked_array([chunk for piece in pieces for chunk in piece], column.type)


def joined(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of both, one after the other."""
    return pa.chunked_array([*first.chunks, *second.chunks], first.type)


def built(schema: pa.Schema, column: Callable[[int], pa.ChunkedArray]) -> pa.Table:
    """A table of exactly this schema, made column by column."""
    return pa.Table.from_arrays([column(at) for at in range(len(schema))], schema=schema)


def no_rows(schema: pa.Schema) -> pa.Table:
    """An empty table of any schema, those included for which Arrow's own way fails."""
    return built(schema, lambda at: nulls(schema.field(at).type, 0))


def taken_rows(rows: pa.Table, positions: Sequence[int]) -> pa.Table:
    """The rows at the positions, in their order."""
    return built(rows.schema, lambda at: taken(rows.column(at), positions))


def has_nulls(column: pa.ChunkedArray) -> bool:
    """Whether a value is null, wherever its type keeps that."""
    return bool(pc.any(pc.is_null(column)).as_py())


def matched(old: pa.Table, new: pa.Table) -> dict[int, int]:
    """For each old row whose values are those of a new row: its position, and the new one's."""
    names = [f"key_{at}" for at in range(old.num_columns)]
    frames = [
        pl.DataFrame(
            [pl.int_range(rows.num_rows, eager=True).alias(side)]
            + [
                pl.Series(name, pl.from_arrow(plain(column)))
                for name, column in zip(names, rows.columns, strict=True)
            ]
        )
        for side, rows in (("old", old), ("new", new))
    ]
    pairs = frames[0].join(frames[1], on=names, how="inner")
    return dict(zip(pairs["old"], pairs["new"], strict=True))


def distinct_count(rows: pa.Table) -> int:
    """How many different rows there are."""
    series = [
        pl.Series(f"key_{at}", pl.from_arrow(plain(column)))
        for at, column in enumerate(rows.columns)
    ]
    return pl.DataFrame(series).n_unique()
