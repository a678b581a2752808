"""Computed columns of Pixeltable's tables: what they may be computed of, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.engines.computed import ComputedColumn, Recompute
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import (
    AlreadyExists,
    ErrorCode,
    InvalidRequest,
    PixelflightError,
    Unsupported,
)
from flight_server.model import TableRef, TableSpec
from flight_server.testing.server import LocalServer, local_server
from flight_server.worker.process import Worker
from tests.fix_http import two_doors
from tests.fix_pixeltable import ANA, copy_of, put, read
from tests.multimodal.attacks import ATTACKS, ON_FILES, TREES

ORDERS = "pixeltable:orders"
TABLE = TableRef("pixeltable", "main", "orders")
PATH = f"/api/v1/tables/{ORDERS}/computed-columns"
COLUMNS = {
    "id": pa.int64(),
    "price": pa.float64(),
    "quantity": pa.int64(),
    "name": pa.string(),
    "meta": pa.json_(),
}
ROWS = pa.table(
    {
        "id": range(10),
        "price": [n / 2 for n in range(10)],
        "quantity": range(10),
        "name": [f"n{n}" for n in range(10)],
        "meta": [
            json.dumps({"a": [n, {"b": "x"}], "l": [{"n": n + 1}, {"n": n + 2}], "m": [n, 1]})
            for n in range(10)
        ],
    }
)
# What each is in the row 3, whose price is 1.5.
WORTH: dict[str, tuple[str, Any]] = {
    "product": ("price * quantity", 4.5),
    "order": ("1 + quantity * 2 - quantity / 2 // 1 % 2", 6.0),
    "minus": ("-price", -1.5),
    "power": ("quantity ** 2", 9.0),
    "step": ("meta.a[0]", 3),
    "steps": ("meta.a[1].b", "x"),
    "arrow": ("meta -> 'a' -> 0", 3),
    "cast": ("cast(meta.a[0] as int) + 1", 4),
    "whole": ("price::int", 2),
    "method": ("name.upper()", "N3"),
    "function": ("string.upper(name)", "N3"),
    "chained": ("name.upper().replace('N', 'm').len()", 2),
    "joined": ("name || '!' || \"name\"", "n3!n3"),
    "named": ("math.round(price / 4, digits := 1)", 0.4),
    "list": ("[quantity, {'a': name}]", [3, {"a": "n3"}]),
    "logic": ("(price > 1 and quantity < 5) or not (name = 'n3')", True),
    "between": ("quantity between 2 and 3", True),
    "among": ("quantity in (1, 3) and name not in ('n1', 'n2')", True),
    "null": ("price is null or name is not null", True),
    "constant": ("7 // 2", 3),
    "mapped": ("meta.a.map(x -> x).len()", 2),
    "filtered": ("filter(meta.l, x -> x.n > 3 and x.n <> 5)", [{"n": 4}]),
    "sorted": ("sort(meta.l, lambda x: x.n, descending := true)[0].n", 5),
    "scaled": ("meta.m.map(x -> x * quantity)", [9, 3]),
    "plain": ("meta.m.map(x -> x * 2 + 1).sort()", [3, 7]),
    "own": ('"tests.multimodal.own".doubled(price)', 3.0),
    "case": ("PRICE + Quantity -- a comment", 4.5),
}


@pytest.fixture(scope="module")
def served(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server over a home of this file's own, with ten orders."""
    folder = tmp_path_factory.mktemp("computed")
    settings = {"pixeltable": str(copy_of(made_home, folder)), "job_workers": 0}
    admitted = {"pixeltable_functions": "tests.multimodal.own"}
    with local_server(folder / "data", durability="none", **settings, **admitted) as server:
        engine = engine_of(server)
        engine.create_table(TABLE, TableSpec(pa.schema(COLUMNS), key=("id",)), ANA)
        put(engine, TABLE, ROWS)
        yield server


@pytest.fixture(scope="module")
def engine(served: LocalServer) -> PixeltableEngine:
    return engine_of(served)


@pytest.fixture(scope="module")
def web(served: LocalServer) -> Iterator[httpx.Client]:
    with two_doors(served) as doors, doors.client() as client:
        yield client


@pytest.fixture(scope="module")
def clips(engine: PixeltableEngine) -> TableRef:
    """A table for videos, without any: what is computed of them is looked at before they come."""
    kinds = {"clip": b"Video", "still": b"Image"}
    media = [pa.field(n, pa.string(), metadata={b"pixeltable.type": k}) for n, k in kinds.items()]
    plain = [pa.field("name", pa.string()), pa.field("meta", pa.json_())]
    table = TableRef("pixeltable", "main", "clips")
    engine.create_table(table, TableSpec(pa.schema([*media, *plain])), ANA)
    return table


@pytest.fixture
def flights(served: LocalServer) -> Iterator[Client]:
    with connect(served.url, served.key) as client:
        yield client


def engine_of(server: LocalServer) -> PixeltableEngine:
    found = server.services.engines["pixeltable"]
    assert isinstance(found, PixeltableEngine)
    return found


def add(engine: PixeltableEngine, name: str, expression: Any, **more: Any) -> None:
    engine.add_computed_column(TABLE, ComputedColumn(name, expression, list(COLUMNS), **more), ANA)


def column(engine: PixeltableEngine, name: str) -> list[Any]:
    return list(read(engine, TABLE, columns=(name,), order_by="id").column(0).to_pylist())


def test_expressions_are_worth_what_they_say(engine: PixeltableEngine) -> None:
    texts = ", ".join(f"'{name}': {text}\n" for name, (text, _) in WORTH.items())
    add(engine, "every", f"{{{texts}}}")
    found = json.loads(column(engine, "every")[3])
    assert found == {name: worth for name, (_, worth) in WORTH.items()}


def test_a_tree_is_what_its_text_is(engine: PixeltableEngine) -> None:
    price = {"column": "price"}
    product = {"operator": "*", "operands": [price, {"value": 2}]}
    call = {"call": "math.round", "arguments": [product], "named": {"digits": 1}}
    step = {"cast": {"path": ["a", 0], "of": {"column": "meta"}}, "to": "int"}
    add(engine, "tree", {"object": {"call": call, "list": {"list": [step, "x", None]}}})
    text = "{'call': math.round(price * 2, digits := 1), 'list': [meta.a[0]::int, 'x', null]}"
    add(engine, "text", text)
    assert column(engine, "tree") == column(engine, "text")
    told = {one["name"]: one for one in engine.computed_columns(TABLE)}
    assert told["tree"]["expression"] == told["text"]["expression"]


@pytest.mark.parametrize("attack", [*ATTACKS, *TREES], ids=lambda one: str(one)[:40])
def test_attacks_are_refused(engine: PixeltableEngine, attack: Any) -> None:
    before = engine.resolve(TABLE).snapshot
    with pytest.raises(InvalidRequest) as told:
        add(engine, "attack", attack)
    assert len(told.value.message) < 500
    assert engine.resolve(TABLE).snapshot == before


@pytest.mark.parametrize(
    ("expression", "code", "said"),
    [
        ("prise * 2", ErrorCode.COLUMN_NOT_FOUND, "no column 'prise'. Did you mean 'price'"),
        ("string.uper(name)", ErrorCode.INVALID_REQUEST, "Did you mean 'string.upper'"),
        ("uper(name)", ErrorCode.INVALID_REQUEST, "no function 'uper'"),
        ("price + (select 1)", ErrorCode.INVALID_SQL, "at character 9: a subquery"),
        ("'é' || name || price", ErrorCode.INVALID_SQL, "at character 13: '||' joins texts"),
        ("price * * 2", ErrorCode.INVALID_SQL, 'at character 11: syntax error at or near "2"'),
        ("name.upper(nope := 1)", ErrorCode.INVALID_REQUEST, "'nope'"),
    ],
)
def test_errors_say_where_and_what_was_meant(
    engine: PixeltableEngine, expression: str, code: ErrorCode, said: str
) -> None:
    with pytest.raises(InvalidRequest) as told:
        add(engine, "wrong", expression)
    assert told.value.code is code
    assert said in told.value.message


def test_columns_that_may_not_be_read_are_not_there(engine: PixeltableEngine) -> None:
    with pytest.raises(InvalidRequest) as told:
        engine.add_computed_column(TABLE, ComputedColumn("c", "price * 2", ["id", "name"]), ANA)
    assert told.value.code is ErrorCode.COLUMN_NOT_FOUND
    with pytest.raises(AlreadyExists):
        add(engine, "Price", "1")
    with pytest.raises(InvalidRequest) as told:
        add(engine, "on_error", "price")
    assert told.value.code is ErrorCode.INVALID_NAME


def test_they_come_change_and_go_over_http(web: httpx.Client) -> None:
    body = {"name": "total", "expression": "price * quantity", "cache_results": True}
    answer = web.post(PATH, json=body)
    assert (answer.status_code, answer.json()["rows"]) == (201, 10), answer.text
    first = web.get(PATH).json()["columns"][-1]
    assert (first["name"], first["type"], first["stored"]) == ("total", "Float", True)
    new = {"id": 10, "price": 2.0, "quantity": 4, "name": "n10", "meta": None}
    assert web.post(f"/api/v1/tables/{ORDERS}/rows", json=new).is_success
    change = {"rename_to": "worth", "expression": "price * quantity + 1"}
    changed = web.patch(f"{PATH}/total", json=change)
    assert changed.status_code == 200, changed.text
    assert rows(web, "id = 10", "worth") == [{"worth": 9.0}]
    other = web.patch(f"{PATH}/worth", json={"expression": "name"})
    assert other.status_code == 400, other.text
    add_of = {"name": "of_worth", "expression": "worth * 2"}
    assert web.post(PATH, json=add_of).status_code == 201
    assert web.delete(f"{PATH}/worth").json()["error"]["code"] == "conflict"
    assert web.delete(f"{PATH}/of_worth").status_code == 200
    assert web.delete(f"{PATH}/worth").status_code == 200
    gone = web.delete(f"{PATH}/worth").json()["error"]
    assert gone["code"] == "column_not_found"
    assert web.delete(f"/api/v1/tables/{ORDERS}/rows?where=id=10").is_success


def test_errors_in_cells_are_kept_or_end_it(web: httpx.Client, flights: Client) -> None:
    picky = {"name": "picky", "expression": '"tests.multimodal.own".picky(quantity)'}
    refused = web.post(PATH, json=picky)
    assert refused.status_code == 400
    assert "is odd" not in refused.text
    assert "ValueError" in refused.text, refused.text
    assert "picky" not in {one["name"] for one in flights.computed_columns(ORDERS)}
    kept = flights.add_computed_column(ORDERS, **picky, on_error="ignore")
    assert (kept["rows"], kept["errors"]) == (10, 5)
    found = web.get(f"{PATH}/picky/errors").json()["errors"]
    assert found[0] == {"key": {"id": 1}, "errortype": "ValueError", "errormsg": "1 is odd"}
    assert len(found) == 5
    assert [one["errors"] for one in web.get(PATH).json()["columns"] if one["name"] == "picky"] == [
        5
    ]
    flights.update(ORDERS, {"quantity": "quantity + 1"}, filter="id = 1")
    again = flights.recompute_column(ORDERS, "picky", errors_only=True)
    assert again["errors"] == 4
    assert len(flights.cell_errors(ORDERS, "picky", limit=3)) == 3
    # It would keep rows from being written.
    flights.drop_computed_column(ORDERS, "picky")


def test_a_job_computes_what_was_not_computed_at_first(
    served: LocalServer, web: httpx.Client, engine: PixeltableEngine
) -> None:
    kinds = {"later": "quantity * 2 + 1", "words": "[name, price]", "odd": "name.index('3')"}
    for name, expression in kinds.items():
        body = {"name": name, "expression": expression, "compute": False}
        answer = web.post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        assert column(engine, name) == [None] * 10
    told = {one["name"]: one["expression"] for one in engine.computed_columns(TABLE)}
    assert told["later"] == "(quantity * 2) + 1"
    which = {"table_name": ORDERS, "column": "later", "batch_size": 4}
    assert recomputed(served, web, which) == {"rows": 10, "errors": 0}
    counts = column(engine, "quantity")
    assert column(engine, "later") == [2 * n + 1 for n in counts]
    # Errors are kept, whatever the column was made with.
    assert recomputed(served, web, {**which, "column": "odd"}) == {"rows": 10, "errors": 9}
    # It would keep rows from being written.
    assert web.delete(f"{PATH}/odd").is_success
    put(engine, TABLE, ROWS.slice(4, 1).set_column(0, "id", pa.array([11])))
    assert column(engine, "later")[-1] == 9
    engine.delete(TABLE, "id = 11", ANA)
    unkept = {"name": "never", "expression": "1", "compute": False, "cache_results": False}
    assert web.post(PATH, json=unkept).status_code == 400


def test_cells_are_computed_anew_where_it_is_asked_for(
    served: LocalServer, web: httpx.Client, engine: PixeltableEngine
) -> None:
    add(engine, "chance", "uuid.uuid4()")
    before = column(engine, "chance")

    def changed() -> list[int]:
        return [
            n
            for n, (a, b) in enumerate(zip(before, column(engine, "chance"), strict=True))
            if a != b
        ]

    some = web.post(f"{PATH}/chance/recompute", json={"where": {"id": {"lt": 2}}})
    assert (some.json()["rows"], some.json()["rows_total"]) == (2, 2), some.text
    assert changed() == [0, 1]
    part = web.post(f"{PATH}/chance/recompute", json={"where": "price >= 2", "limit": 4}).json()
    assert (part["rows"], part["rows_total"], part["after"] is None) == (4, 6, False)
    rest = {"where": "price >= 2", "limit": 4, "after": part["after"]}
    last = web.post(f"{PATH}/chance/recompute", json=rest).json()
    assert (last["rows"], last["after"]) == (2, None)
    assert changed() == [0, 1, 4, 5, 6, 7, 8, 9]
    which = {"table_name": ORDERS, "column": "chance", "batch_size": 3}
    assert recomputed(served, web, which) == {"rows": 10, "errors": 0}
    assert changed() == list(range(10))


@pytest.mark.parametrize("attack", ON_FILES)
def test_no_file_is_named_and_nothing_is_told_to_ffmpeg(
    engine: PixeltableEngine, clips: TableRef, attack: str
) -> None:
    names = ["clip", "still", "name", "meta"]
    with pytest.raises(InvalidRequest):
        engine.add_computed_column(clips, ComputedColumn("harm", attack, names), ANA)


def test_what_videos_are_harmlessly_made_into(engine: PixeltableEngine, clips: TableRef) -> None:
    for at, text in enumerate(
        (
            "video.concat_videos([clip, clip])",
            "video.fade_in(clip, duration := 1.0, color := '#00ff00')",
            "video.overlay_text(clip, 'Take 2', color := 'red')",
            "clip.get_metadata().streams[0].width",
            "vision.bboxes_draw(still, [[1, 2, 3, 4]])",
        )
    ):
        column = ComputedColumn(f"made_{at}", text, ["clip", "still"])
        assert engine.add_computed_column(clips, column, ANA).errors == 0


def test_pictures_views_and_snapshots(engine: PixeltableEngine) -> None:
    pictures = TableRef("pixeltable", "main", "pictures")
    small = ComputedColumn("small", "picture.resize([2, 3])", ["n", "picture"], stored=False)
    engine.add_computed_column(pictures, small, ANA)
    wide = ComputedColumn("wide", "picture.rotate(90).height + width", ["picture", "width"])
    engine.add_computed_column(pictures, wide, ANA)
    found = read(engine, pictures, columns=("n", "wide"), order_by="n")["wide"].to_pylist()
    assert found == [24, 25, 26, 27, None]
    told = {one["name"]: one for one in engine.computed_columns(pictures)}
    assert (told["small"]["stored"], told["small"]["errors"]) == (False, None)
    with pytest.raises(Unsupported, match="whenever it is read"):
        engine.cell_errors(pictures, "small", 1)
    for expression in ("picture.localpath", "picture.resize([99999, 1])", "picture.to_video()"):
        with pytest.raises(PixelflightError):
            engine.add_computed_column(
                pictures, ComputedColumn("harm", expression, ["picture"]), ANA
            )
    few = TableRef("pixeltable", "views", "few")
    engine.add_computed_column(few, ComputedColumn("half", "cube / 2", ["cube"]), ANA)
    assert read(engine, few, columns=("half",), filter="id = 2")["half"].to_pylist() == [4.0]
    assert engine.recompute(few, Recompute("half", where="id in (2, 4)"), ANA).rows == 2
    tiles = TableRef("pixeltable", "views", "tiles")
    wide = ComputedColumn("across", "tile.width", ["tile"])
    count = engine.add_computed_column(tiles, wide, ANA).rows
    assert engine.recompute(tiles, Recompute("across"), ANA).rows == count > 4
    with pytest.raises(Unsupported, match="all at once"):
        engine.recompute(tiles, Recompute("across", limit=1), ANA)
    then = TableRef("pixeltable", "views", "then")
    with pytest.raises(Unsupported, match="A snapshot keeps"):
        engine.add_computed_column(then, ComputedColumn("c", "id", ["id"]), ANA)


def rows(web: httpx.Client, where: str, select: str) -> list[dict[str, Any]]:
    asked = {"where": where, "select": select}
    answer = web.get(f"/api/v1/tables/{ORDERS}/rows", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def recomputed(served: LocalServer, web: httpx.Client, which: dict[str, Any]) -> dict[str, Any]:
    """What a job of the type `table_recompute` has done."""
    job = {"job_type": "table_recompute", "parameters": which}
    submitted = web.post("/api/v1/batch/jobs", json=job).json()
    services, where = served.services, {"url": served.url}
    Worker(services.settings, services.metastore, services.signing_secret, where, "test", 0).run()
    done = web.get(f"/api/v1/batch/jobs/{submitted['job_id']}").json()
    assert (done["status"], done["rows"], done["progress"]) == ("completed", 10, 100), done
    result: dict[str, Any] = done["result"]
    assert (result.pop("table_name"), result.pop("column")) == (ORDERS, which["column"])
    return result
