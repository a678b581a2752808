"""Rows that are near to something, by an index of embeddings.

What is sought is embedded once, outside of any transaction: a model may take its time. The rows
then come in the order of their distance as PostgreSQL computes it, from the index where that is
cheaper than looking at them all.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pixeltable as pxt
import pixeltable.exceptions as theirs
from pixeltable import type_system as types
from pixeltable.index import EmbeddingIndex

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import conditions, failures, selection
from flight_server.engines.pixeltable.worker.columns import Column, Shape, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.indexes import KINDS
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.reading import chosen, query_of, rows_of
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.engines.search import SCORE_FIELD
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import Sought

_SCORE = Column(SCORE_FIELD, Shape.PLAIN, types.FloatType(nullable=True))
# What is read in an image's place by a program of its own, as EPS is, is none.
IMAGE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# How many candidates the index keeps in view. With pgvector's own 40 it misses half of the nearest
# ten among 20,000 embeddings that lie at random; 1,000 are as many as it takes.
CANDIDATES_MIN, CANDIDATES_MAX = 200, 1000


class Target(NamedTuple):
    """Where rows are looked for: an index, its metric, and the embedding of what is sought."""

    name: str
    metric: EmbeddingIndex.Metric
    vector: np.ndarray[Any, Any]


def search(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Spool:
    """The nearest rows, with their scores. Unsupported where the release was not tried."""
    if home.distrust:
        raise Unsupported(f"Pixeltable's tables are not searched here: {home.distrust}.")
    table = opened({**arguments, "version": None})
    (column,) = chosen(columns_of(table, table.get_metadata()), [arguments["column"]])
    with _item(Sought(arguments["by"]), arguments["sought"]) as item:
        target = _target(home, table, column.name, item, arguments["index"])
    cancellation.check()
    return home.in_one(lambda: _nearest(home, table, column.name, target, arguments, cancellation))


def _nearest(
    home: Home,
    table: pxt.Table,
    name: str,
    target: Target,
    arguments: Mapping[str, Any],
    cancellation: Cancellation,
) -> Spool:
    told = table.get_metadata()
    every = columns_of(table, told)
    wanted = chosen(every, arguments["columns"])
    condition, limit = arguments["filter"], arguments["limit"]
    used = [] if condition is None else selection.columns_used(condition, None, every)
    needed = [column for column in every if column in wanted or column in used]
    score = _similarity(table, name, vector=target.vector, idx=target.name)
    is_scored = score != None  # noqa: E711
    share = conditions.share_of(
        table, every, conditions.stored(told), filter_=condition, limit=limit
    )
    share = replace(
        share,
        where=is_scored if share.where is None else share.where & is_scored,
        order=((score, target.metric is EmbeddingIndex.Metric.L2),),
    )
    query = share.of(query_of(table, needed, score))
    names = [column.name for column in (*wanted, _SCORE)]
    rest = {"filter": condition, "order_by": None, "limit": limit, "offset": 0}
    with closing(
        rows_of(home, query, [*needed, _SCORE], cancellation, settings=_settings(limit))
    ) as rows:
        return selection.selected(rows, names, used, rest, cancellation)


def _settings(limit: int) -> Mapping[str, str]:
    """The index goes on until so many rows were found that nothing else leaves out."""
    candidates = min(max(2 * limit, CANDIDATES_MIN), CANDIDATES_MAX)
    return {
        "hnsw.ef_search": str(candidates),
        "hnsw.iterative_scan": "strict_order",
        "hnsw.max_scan_tuples": str(2**31 - 1),
    }


def _target(
    home: Home, table: pxt.Table, column: str, item: Mapping[str, Any], index: str | None
) -> Target:
    """What is sought, embedded as the index embeds its own."""
    try:
        similar = _similarity(table, column, idx=index, **item)
        found = home.in_one(similar._resolve_idx)
    except theirs.NotFoundError:
        which = "no index of embeddings" if index is None else f"no index '{index}'"
        raise NotFound(
            f"The column '{column}' has {which}: 'list_indexes' tells of those there are, "
            "'create_index' makes one.",
            code=ErrorCode.INDEX_NOT_FOUND,
        ) from None
    (sought,) = similar.components
    if sought.col_type.is_array_type() and sought.val.shape != found.val_col.col_type.shape:
        raise InvalidRequest(
            f"The vector has {len(sought.val)} numbers, and the embeddings of the index "
            f"'{found.name}' have {found.val_col.col_type.shape[0]}."
        )
    try:
        vector = found.idx.compute_query_embedding(
            sought.val, sought.col_type, found.val_col.col_type
        )
    except Exception as error:
        if isinstance(error, theirs.Error) or failures.of_request(error) is not None:
            raise
        raise InvalidRequest(
            f"The function of the index '{found.name}' could not embed what is sought: it ended "
            f"with {type(error).__name__}."
        ) from error
    return Target(found.name, found.idx.metric, np.asarray(vector, np.float32))


def _similarity(table: pxt.Table, column: str, **sought: Any) -> Any:
    """How near the values of a column are. Those of a view may be indexed below it."""
    reference = table[column]
    try:
        return reference.similarity(**sought)
    except theirs.NotFoundError:
        base = table.get_metadata()["base"]
        below = None if base is None else pxt.get_table(base, if_not_exists="ignore")
        if below is None or column not in below.columns():
            raise
        if below[column].col_md.qcolid != reference.col_md.qcolid:
            raise
        return _similarity(below, column, **sought)


@contextmanager
def _item(by: Sought, sought: Any) -> Iterator[Mapping[str, Any]]:
    """What is sought as Pixeltable takes it: files by their paths."""
    kind = KINDS[by]
    if by is Sought.TEXT:
        yield {kind: sought}
    elif by is Sought.VECTOR:
        yield {kind: _vector(sought)}
    elif by is Sought.IMAGE:
        yield {kind: _image(base64.b64decode(sought))}
    else:
        with tempfile.NamedTemporaryFile(prefix="pixelflight-") as file:
            file.write(base64.b64decode(sought))
            file.flush()
            yield {kind: file.name}


def _vector(numbers: list[float]) -> np.ndarray[Any, Any]:
    vector = np.array(numbers, np.float32)
    if not np.isfinite(vector).all():
        raise InvalidRequest("A number of the vector is none, or too large for 32 bits.")
    return vector


def _image(file: bytes) -> PIL.Image.Image:
    try:
        image = PIL.Image.open(io.BytesIO(file), formats=IMAGE_FORMATS)
        image.load()
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise InvalidRequest(
            f"What is sought as an image is none of {', '.join(IMAGE_FORMATS)}, or damaged.",
            code=ErrorCode.INVALID_DATA,
        ) from error
    return image
