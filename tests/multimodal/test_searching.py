"""What is near, by Pixeltable's indexes: what plain Pixeltable finds, within what may be seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flight_server.engines.computed import ComputedColumn
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import (
    AlreadyExists,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import (
    Embedder,
    Index,
    IndexKind,
    Metric,
    NamespaceRef,
    Precision,
    SearchRequest,
    Sought,
    TableRef,
)
from flight_server.testing.conformance.searches import SearchTests
from tests.fix_pixeltable import ANA, EMBEDDINGS, put, read

PAINTS, VECTORS, WARM = (
    TableRef("pixeltable", "near", name) for name in ("paints", "vectors", "warm")
)


def near(engine: PixeltableEngine, table: TableRef, *sought: Any, **more: Any) -> pa.Table:
    return engine.search(table, SearchRequest(*sought, **more)).read_all()


def test_it_finds_what_plain_pixeltable_does(pixeltable: PixeltableEngine, made_home: Path) -> None:
    found = json.loads((made_home.parent / "nearest.json").read_text("utf-8"))
    assert len(found) == 4
    for one in found:
        by, sought = Sought(one["by"]), one["sought"]
        if by is Sought.IMAGE:
            sought = Path(sought).read_bytes()
        table = TableRef("pixeltable", "near", one["table"])
        rows = near(pixeltable, table, one["column"], by, sought, columns=("n",), limit=3)
        assert [[row["n"], row["_score"]] for row in rows.to_pylist()] == one["rows"], one


def test_rows_that_have_no_embedding_are_not_near(pixeltable: PixeltableEngine) -> None:
    rows = near(pixeltable, PAINTS, "name", Sought.TEXT, "red", limit=100)
    assert rows.schema.names == ["n", "name", "picture", "_score"]
    assert rows.num_rows == 7
    assert rows["_score"].to_pylist() == sorted(rows["_score"].to_pylist(), reverse=True)


@pytest.mark.parametrize("limit", [1, 60, 500])
def test_as_many_are_found_as_are_asked_for(pixeltable: PixeltableEngine, limit: int) -> None:
    vectors = np.array(read(pixeltable, VECTORS)["v"].to_pylist(), np.float32)
    rows = near(pixeltable, VECTORS, "v", Sought.VECTOR, tuple(vectors[7].tolist()), limit=limit)
    exact = np.sort(vectors @ vectors[7])[::-1][:limit]
    assert rows.num_rows == limit
    # The index may leave out a few that are nearer.
    assert np.isclose(np.array(rows["_score"])[:, None], exact).any(axis=0).mean() > 0.9


@pytest.mark.parametrize(
    "condition",
    ["n >= 1990", "n % 200 = 3", "n BETWEEN 20 AND 29 AND sqrt(n) > 1", "list_sum(v) > 8"],
)
def test_a_filter_leaves_rows_out_before_the_nearest_are_taken(
    pixeltable: PixeltableEngine, condition: str
) -> None:
    kept = read(pixeltable, VECTORS, filter=condition)
    vectors = np.array(kept["v"].to_pylist(), np.float32)
    sought = tuple(np.ones(8).tolist())
    order = np.argsort(-vectors @ np.ones(8, np.float32))[:5]
    rows = near(
        pixeltable, VECTORS, "v", Sought.VECTOR, sought, filter=condition, limit=5, columns=("n",)
    )
    assert rows["n"].to_pylist() == [kept["n"][int(at)].as_py() for at in order]


def test_a_view_is_searched_by_the_index_of_its_table(pixeltable: PixeltableEngine) -> None:
    rows = near(pixeltable, WARM, "name", Sought.TEXT, "rage", limit=2, columns=("n",))
    assert rows["n"].to_pylist() == [3, 1]


def test_a_column_without_an_index_is_told_how_one_is_made(pixeltable: PixeltableEngine) -> None:
    with pytest.raises(NotFound, match=r"'n' has no index of embeddings.*'create_index'"):
        near(pixeltable, PAINTS, "n", Sought.TEXT, "red")


@pytest.mark.parametrize(
    ("request_", "kind", "code"),
    [
        (("nmae", Sought.TEXT, "red"), InvalidRequest, ErrorCode.COLUMN_NOT_FOUND),
        (("n", Sought.TEXT, "red"), NotFound, ErrorCode.INDEX_NOT_FOUND),
        (("name", Sought.TEXT, "red", "colours"), NotFound, ErrorCode.INDEX_NOT_FOUND),
        (("name", Sought.IMAGE, b"no picture"), InvalidRequest, ErrorCode.INVALID_DATA),
        (("name", Sought.AUDIO, b"no sound"), Unsupported, ErrorCode.UNSUPPORTED),
        (("name", Sought.VECTOR, (1.0, 2.0)), InvalidRequest, ErrorCode.INVALID_REQUEST),
        (("name", Sought.VECTOR, (float("nan"),) * 26), InvalidRequest, ErrorCode.INVALID_REQUEST),
        (("picture", Sought.TEXT, "no colour"), InvalidRequest, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_sought_is_told_why(
    pixeltable: PixeltableEngine, request_: tuple[Any, ...], kind: type[Exception], code: ErrorCode
) -> None:
    with pytest.raises(kind) as told:
        near(pixeltable, PAINTS, *request_)
    assert told.value.code is code  # type: ignore[attr-defined]


def test_a_snapshot_is_not_searched(pixeltable: PixeltableEngine) -> None:
    with pytest.raises(Unsupported):
        pixeltable.create_index(TableRef("pixeltable", "views", "then"), Index("name"), ANA)


def test_indexes_are_listed(pixeltable: PixeltableEngine) -> None:
    assert pixeltable.indexes(PAINTS) == [
        Index(
            "picture",
            IndexKind.EMBEDDING,
            "colours",
            Metric.L2,
            Precision.FP16,
            {
                Sought.TEXT: Embedder(f"{EMBEDDINGS}.named_colour"),
                Sought.IMAGE: Embedder(f"{EMBEDDINGS}.colour"),
            },
        ),
        Index(
            "name",
            IndexKind.EMBEDDING,
            "names",
            Metric.COSINE,
            Precision.FP16,
            {Sought.TEXT: Embedder(f"{EMBEDDINGS}.letters")},
        ),
        Index("n", IndexKind.BTREE, "numbers"),
    ]
    own = Index("v", IndexKind.EMBEDDING, "own", Metric.INNER_PRODUCT, Precision.FP32)
    assert pixeltable.indexes(VECTORS) == [own]


def test_a_table_whose_index_has_no_function_is_described(pixeltable: PixeltableEngine) -> None:
    assert pixeltable.describe(VECTORS).rows == 2000


class TestNear(SearchTests):
    """What all engines do alike."""

    @pytest.fixture
    def engine(self, writable: PixeltableEngine) -> PixeltableEngine:
        return writable


def test_a_trained_model_finds_what_is_meant(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"text": pa.string()})
    texts = [
        "The film made me cry",
        "A recipe for tomato soup",
        "Interest rates have risen again",
        "Our dog chases cats",
    ]
    put(writable, table, pa.table({"text": texts}))
    index = Index("text", name="meant", embedders={None: Embedder(f"{EMBEDDINGS}.meaning")})
    writable.create_index(table, index, ANA)
    # None of these shares a word with what it finds.
    for number, sought in enumerate(
        ("sad movies", "cooking vegetables", "monetary policy", "pets")
    ):
        found = near(writable, table, "text", Sought.TEXT, sought, limit=1)
        assert found["text"].to_pylist() == [texts[number]], sought


def test_an_index_embeds_by_functions_that_the_operator_admits(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"n": pa.int64(), "text": pa.string()})
    put(writable, table, pa.table({"n": [1, 2], "text": ["one", None]}))
    index = Index("text", name="words", embedders={None: Embedder(f"{EMBEDDINGS}.letters")})
    writable.create_index(table, index, ANA)
    put(writable, table, pa.table({"n": [3], "text": ["three"]}))
    found = near(writable, table, "text", Sought.TEXT, "tree")
    assert found["n"].to_pylist() == [3, 1]
    told = {Sought.TEXT: Embedder(f"{EMBEDDINGS}.letters")}
    assert [one.embedders for one in writable.indexes(table)] == [told]
    share = Embedder(f"{EMBEDDINGS}.scaled_letters", {"factor": 0.5})
    writable.create_index(table, Index("text", name="half", embedders={Sought.TEXT: share}), ANA)
    assert writable.indexes(table)[0].embedders == {Sought.TEXT: share}
    assert near(writable, table, "text", Sought.TEXT, "tree", "half")["n"].to_pylist() == [3, 1]


@pytest.mark.parametrize(
    "embedder",
    [
        Embedder("os.system"),
        Embedder(f"{EMBEDDINGS}.np"),
        Embedder("huggingface.clip", {"model_id": "x"}),
        Embedder("string.upper"),
        Embedder(f"{EMBEDDINGS}.letters", {"factor": 1}),
    ],
)
def test_no_other_function_embeds(
    writable: PixeltableEngine, new_table: Callable[..., TableRef], embedder: Embedder
) -> None:
    table = new_table({"text": pa.string()})
    with pytest.raises(InvalidRequest):
        writable.create_index(table, Index("text", embedders={None: embedder}), ANA)
    assert writable.indexes(table) == []


def test_what_an_index_keeps_is_read_by_a_column_that_is_computed_of_it(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"n": pa.int64(), "text": pa.string()})
    put(writable, table, pa.table({"n": [1, 2], "text": ["abba", None]}))
    letters: dict[Sought | None, Embedder] = {None: Embedder(f"{EMBEDDINGS}.letters")}
    writable.create_index(table, Index("text", name="near", embedders=letters), ANA)
    for name, expression, is_stored in (
        ("seen", "text.embedding()", False),
        ("kept", "embedding(text, 'near')", True),
    ):
        made = ComputedColumn(name, expression, ["text"], is_stored)
        writable.add_computed_column(table, made, ANA)
    put(writable, table, pa.table({"n": [3], "text": ["cab"]}))
    half = pytest.approx([0.7071, 0.7071, 0.0], abs=1e-3)
    third = pytest.approx([0.5774, 0.5774, 0.5774], abs=1e-3)
    rows = read(writable, table, order_by="n", columns=("seen", "kept"))
    assert str(rows.schema.field("seen").type) == "fixed_size_list<item: float>[26]"
    for name in ("seen", "kept"):
        assert [value and value[:3] for value in rows[name].to_pylist()] == [half, None, third]
    with pytest.raises(PixelflightError, match="depend"):
        writable.drop_index(table, "near", ANA)
    for expression in (
        "embedding(n)",
        "embedding(text, n)",
        "embedding(1)",
        "text.embedding(1, 2)",
    ):
        wrong = ComputedColumn("wrong", expression, ["text", "n"])
        with pytest.raises(PixelflightError):
            writable.add_computed_column(table, wrong, ANA)
    assert {one["name"] for one in writable.computed_columns(table)} == {"seen", "kept"}


@pytest.mark.parametrize("name", ["an index", "_index", "ähnlich", "1st", ""])
def test_what_can_be_called_so_is_told(
    writable: PixeltableEngine, new_table: Callable[..., TableRef], name: str
) -> None:
    table = new_table({"text": pa.string()})
    index = Index("text", name=name)
    with pytest.raises(InvalidRequest) as told:
        writable.create_index(table, index, ANA)
    # Without a name it is the function that is missing.
    assert ("begin with a letter" in str(told.value)) == bool(name)
    assert ("'embedder'" in str(told.value)) == (not name)
    if name:
        with pytest.raises(InvalidRequest, match=f"column '{name}'"):
            new_table({name: pa.string()})
        with pytest.raises(InvalidRequest, match=f"namespace '{name}'"):
            writable.create_namespace(NamespaceRef("pixeltable", f"near/{name}"), ANA)


def test_indexes_are_made_and_dropped(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"n": pa.int64(), "v": pa.list_(pa.float32(), 3)})
    rows = pa.table(
        {"n": [1, 2, 3], "v": pa.array([[1, 0, 0], [0, 1, 0], None], pa.list_(pa.float32(), 3))}
    )
    put(writable, table, rows)
    before = writable.describe(table).snapshot
    made = writable.create_index(table, Index("v", name="near", metric=Metric.L2), ANA)
    assert made.snapshot > before
    assert near(writable, table, "v", Sought.VECTOR, (0.0, 2.0, 0.0))["n"].to_pylist() == [2, 1]
    # It is kept up to date with the table.
    put(
        writable, table, pa.table({"n": [4], "v": pa.array([[0, 2, 0]], pa.list_(pa.float32(), 3))})
    )
    assert near(writable, table, "v", Sought.VECTOR, (0.0, 2.0, 0.0))["n"].to_pylist() == [4, 2, 1]
    writable.create_index(table, Index("N", IndexKind.BTREE), ANA)
    assert [one.column for one in writable.indexes(table)] == ["n", "v"]
    with pytest.raises(AlreadyExists):
        writable.create_index(table, Index("v", name="near"), ANA)
    writable.drop_index(table, "near", ANA)
    with pytest.raises(NotFound) as told:
        near(writable, table, "v", Sought.VECTOR, (0.0, 2.0, 0.0))
    assert told.value.code is ErrorCode.INDEX_NOT_FOUND
    with pytest.raises(NotFound) as told:
        writable.drop_index(table, "near", ANA)
    assert told.value.code is ErrorCode.INDEX_NOT_FOUND
